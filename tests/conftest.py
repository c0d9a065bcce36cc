"""Four CPU devices for every test, and programs compiled once for all tests of a process, set before JAX starts."""

import os
import tempfile

_programs = tempfile.TemporaryDirectory(prefix="jaxfer-programs-")
# In the environment, so that the processes that tests start share them.
os.environ["JAX_COMPILATION_CACHE_DIR"] = _programs.name
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"

import jax  # noqa: E402

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_numpy_rank_promotion", "raise")
