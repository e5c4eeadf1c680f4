"""The turbulence study's figures, drawn from files alone; nothing is computed here that a table
reports.

| room | what | |---|---| | `images` | maps of log N and what is cut from them | | `scores` | the
curves of a set's models: ROC, confusion, reliability | | `index` | predicted against true index,
calibration; the class against the index | | `transfer` | accuracy on other sets than a model's own,
and against how strong a nuisance is | | `scheme` | the layers of a network | | `training_size` |
accuracy against the number of training simulations |
"""
