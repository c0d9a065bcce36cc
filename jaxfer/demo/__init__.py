"""A page on which a network is tried: photographs and a camera in, boxes and bars out, all of it on this machine."""

from jaxfer.demo.server import DemoServer
from jaxfer.demo.web import export_web

__all__ = ["DemoServer", "export_web"]
