"""Command lines: the `jaxfer` command and what training programs share. Each verb calls one public function."""
