"""`jaxfer demo`: a page on this machine, on which a network is tried."""

import sys
from dataclasses import dataclass
from threading import Thread

import tyro

from jaxfer.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Demo:
    """Show a page in the browser, on which a network is tried with photographs and the camera.

    jaxfer demo

    jaxfer demo runs/first

    Only this machine reaches the page, and nothing leaves it. Ctrl-C ends it.
    """

    model: tyro.conf.Positional[str] = "small"
    """The network: one that comes with jaxfer, the folder of a model, or that of a run."""
    port: int = 8642
    """The port of this machine to listen on; 0 for a free one."""
    margin: float | None = None
    """What to keep around a face's box, as a share of its longer side; by default faces are framed as in training."""

    def run(self) -> None:
        """Serve the page until Ctrl-C.

        Raises:
            UserError: The model cannot be used, no detector is installed, or the port is taken.
            KeyboardInterrupt: Ctrl-C came.
        """
        from jaxfer.inference.faces import INSTALL, is_installed

        if not is_installed():
            raise UserError(f"the page finds faces by OpenCV, which is not installed: {INSTALL}")
        from jaxfer.cli.start import prepare_to_predict
        from jaxfer.demo import DemoServer
        from jaxfer.inference import Predictor
        from jaxfer.inference.model import called
        from jaxfer.reports.predictions import NOTICE

        prepare_to_predict()
        with DemoServer(Predictor.load(self.model, margin=self.margin), called(self.model), self.port) as server:
            Thread(target=server.warm_up, daemon=True).start()
            print(f"Open {server.address} in a browser on this machine; Ctrl-C ends it.", flush=True)
            print(NOTICE, file=sys.stderr)
            try:
                server.serve_forever()
            finally:
                server.finish()
