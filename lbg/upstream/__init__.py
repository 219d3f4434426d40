"""The upstream side: endpoints, their connections, and which one a request gets."""
