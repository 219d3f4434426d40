"""The proxies that are measured and their configurations, made as equal as each allows."""
