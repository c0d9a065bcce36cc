"""How several processes that train one run find each other."""

import ipaddress
import threading

import jax

from jaxfer.errors import UserError

MEET_SECONDS = 300
"""How long a process waits for the others to start."""

SILENT_SECONDS = 60
"""A process that is not heard of for so long is taken to have died, which ends the others too."""


def join_processes(coordinator: str | None = None, processes: int | None = None, process_id: int | None = None) -> None:
    """Join the other processes of this run; programs call this before JAX starts, in every process.

    Without arguments the cluster names the processes: a SLURM step, Open MPI, a TPU slice or Kubernetes, as JAX
    recognises them. A process of a SLURM step or of Open MPI then has one GPU. In all other cases each process has all
    devices of its machine.

    Args:
        coordinator: HOST:PORT at which process 0 listens and all others reach it. Where HOST is an address or
            `localhost`, it listens there alone; where it is another name, at every address of its machine, since what
            a machine calls itself may be none that others reach.
        processes: Number of processes.
        process_id: Which process this is, from 0.

    Raises:
        UserError: Only some of the three are given, or impossible ones; no cluster is recognised; JAX has already
            started; or the others do not come within `MEET_SECONDS`.
    """
    given = [value is not None for value in (coordinator, processes, process_id)]
    if any(given) and not all(given):
        raise UserError("several processes need all of --coordinator, --processes and --process-id: pass the three")
    if processes is not None and process_id is not None and not 0 <= process_id < processes:
        raise UserError(f"there is no process {process_id} of {processes}: pass a process_id from 0 to {processes - 1}")
    if coordinator is not None and not (coordinator.rpartition(":")[0] and coordinator.rpartition(":")[2].isdecimal()):
        raise UserError(f"the coordinator is {coordinator!r}: pass the HOST:PORT at which process 0 is to listen")
    # JAX's own handler of SIGTERM would keep the signal from a program that is not in its training loop.
    jax.config.update("jax_enable_preemption_service", False)
    _initialize(coordinator, processes, process_id)


def _initialize(coordinator: str | None, processes: int | None, process_id: int | None) -> None:
    failures: list[Exception] = []

    def initialize() -> None:
        try:
            jax.distributed.initialize(
                coordinator,
                processes,
                process_id,
                coordinator_bind_address=coordinator and _address(coordinator),
                cluster_detection_method=None if coordinator is None else "deactivate",
                # When this is over, JAX ends the process without a word that helps.
                initialization_timeout=MEET_SECONDS + 60,
                heartbeat_timeout_seconds=SILENT_SECONDS,
            )
        except Exception as error:  # for the thread that waits
            failures.append(error)

    # In a thread, since there is no other way to stop waiting for JAX.
    joining = threading.Thread(target=initialize, daemon=True)
    joining.start()
    joining.join(MEET_SECONDS)
    if joining.is_alive():
        where = "there" if coordinator is None else f"at {coordinator}"
        raise UserError(
            f"not all processes were {where} within {MEET_SECONDS} s: start every one with the same --coordinator and "
            "--processes and a --process-id of its own, and see that all reach that address"
        )
    for error in failures:
        if coordinator is None and isinstance(error, ValueError):
            raise UserError(
                "no cluster is recognised here (a SLURM step, Open MPI, a TPU slice, Kubernetes): start the program "
                "with srun or mpirun, or pass --coordinator, --processes and --process-id"
            ) from error
        raise UserError(f"the processes cannot be joined ({str(error).splitlines()[0]})") from error


def _address(coordinator: str) -> str | None:
    """Return where alone process 0 is to listen: it asks nobody who they are. None for a name, see above."""
    host = coordinator.rpartition(":")[0]
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return coordinator.replace("localhost", "127.0.0.1") if host == "localhost" else None
    return coordinator


def is_first() -> bool:
    """Return whether this is process 0, which alone writes files and shows progress."""
    return jax.process_index() == 0
