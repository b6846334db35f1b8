"""Reading untrusted files: streams with limits, and fields whose errors name their place."""
