"""
`python forking.py CODE` runs code that loads modules, then scripts as `python SCRIPT` does, each in a process of its own that has
the modules already. Reads a script per line, `{"id", "path", "cwd", "stdout", "stderr"}`, and prints how each ended, `{"id", "code"}`.
"""

import json
import os
import runpy
import signal
import sys


def next_script():
    """The script that this process, a child of the one that was started, has to run; None when there are no more."""
    # Nobody waits for those who wait for scripts.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        if os.fork() > 0:
            continue
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        script = json.loads(line)
        child = os.fork()
        if child == 0:
            return script
        _, status = os.waitpid(child, 0)
        ended = {"id": script["id"], "code": os.waitstatus_to_exitcode(status)}
        os.write(1, (json.dumps(ended) + "\n").encode())
        os._exit(0)
    return None


exec(sys.argv[1], {})
script = next_script()
if script is not None:
    path = script["path"]
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(script[name], os.O_WRONLY | os.O_CREAT, 0o600), number)
    sys.stdin = open(0)
    os.chdir(script["cwd"])
    sys.argv = [path]
    sys.path[0] = os.path.dirname(path)
    runpy.run_path(path, run_name="__main__")
