"""Root's first step to a sandbox: makes folders reachable in a view of the file system that only this process has, becomes
nobody, and executes the command in its own place, so that it is still the child of whoever started this.

    nobody.py UID STAGE FOLDERS COMMAND…      FOLDERS is JSON: those that become STAGE/0, STAGE/1 …
"""

import ctypes
import json
import os
import shutil
import sys

CLONE_NEWNS = 0x20000
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000

libc = ctypes.CDLL(None, use_errno=True)


def check(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def mount(source, target, kind, flags):
    check(libc.mount(source.encode(), target.encode(), kind, ctypes.c_ulong(flags), None))


def main(uid, stage, folders, command):
    check(libc.unshare(CLONE_NEWNS))
    mount('none', '/', None, MS_REC | MS_PRIVATE)
    opened = [os.open(folder, os.O_PATH) for folder in folders]
    # It may hide some of the folders; they are open.
    mount('tmpfs', stage, b'tmpfs', 0)
    os.chmod(stage, 0o755)
    for number, (folder, handle) in enumerate(zip(folders, opened)):
        place = f'{stage}/{number}'
        if os.path.isdir(f'/proc/self/fd/{handle}'):
            os.mkdir(place)
        else:
            os.close(os.open(place, os.O_CREAT))
        mount(f'/proc/self/fd/{handle}', place, None, MS_BIND)
        os.close(handle)
    path = shutil.which(command[0])
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
    os.chdir('/')
    os.execv(path, command)


if __name__ == '__main__':
    main(int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]), sys.argv[4:])
