"""Linux machines behind ssh: one file of Python is sent over, runs the model with what the device has, and is gone."""
