"""Local folders kept the same in the containers of a dev target."""
