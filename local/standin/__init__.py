"""The stand-in model: speaks OpenAI's protocol on this machine, writes labelled samples, and fails on request."""
