"""A brain behind gRPC: an event loop in front of kernel processes."""

from robobrain.bridge.server.front import Limits, ServerConfig, running, serve

__all__ = ["Limits", "ServerConfig", "running", "serve"]
