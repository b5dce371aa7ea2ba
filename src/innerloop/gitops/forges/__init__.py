"""The services where pull requests are made, each behind the same few calls."""
