"""The peers, one file each, and every file the same two things: `Trainer` and `predictor`.

`Trainer(case)` puts data and parameters where the peer likes them. `train(steps)` takes the first
steps of `case.order`, goes on from the parameters it has, and returns the seconds that the steps
took. `parameters()` returns what came of it, in the order of `chainrule.Network.parameters`.
`predictor(case)` returns a function from an array of rows to an array of outputs. `versions()` says
what was measured.
"""
