"""A page on which a network is tried: photographs and a camera in, boxes and bars out, all of it on this machine."""

from jaxfer.demo.server import DemoServer

__all__ = ["DemoServer"]
