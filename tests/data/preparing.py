"""Prepare in a process of its own, for tests to end in every way: `preparing.py DATA_DIR OUT [ENDING IMAGE]`.

ENDING is what happens when image IMAGE is about to be kept: `kill` the process, `fill` the disk, or `fill-up` to the
last byte. Image 0 is the moment at which all is written and nothing is in its place yet, image -1 that before anything
is written.
"""

import os
import resource
import signal
import sys
from pathlib import Path

from jaxfer.cli.program import run
from jaxfer.data.prepared import builder, ledger, prepare


def end(ending: str) -> None:
    if ending == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    # No file may grow beyond this from now on, which is how a full disk looks to whoever writes one.
    most = 4096 if ending == "fill" else 0
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def main() -> None:
    data_dir, out, *rest = sys.argv[1:]
    if rest:
        ending, at = rest[0], int(rest[1])
        admit, write = ledger.Ledger.admit, builder.FacialExpressions.download_and_prepare

        def ending_admit(self, *arguments):
            if self.written == at - 1:
                end(ending)
            return admit(self, *arguments)

        def ending_write(self, **options):
            write(self, **options)
            if at == 0:
                end(ending)

        if at == -1:
            end(ending)
        ledger.Ledger.admit, builder.FacialExpressions.download_and_prepare = ending_admit, ending_write
    print(prepare(Path(data_dir), Path(out)).metadata["fingerprint"])


if __name__ == "__main__":
    run(main)
