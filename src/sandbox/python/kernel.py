"""The kernel: runs pieces of Python for its owner, one after the other, and keeps their variables.

It reads one JSON line a call, {"nonce", "code"}, from what was its standard input, and writes JSON lines to what was its
standard output: `ready` once, then for each call `logs` and `image` as they come, and `done` at its end. Code gets other
descriptors for input and output, so that whatever it and its children write there arrives as logs.

Code runs in this very process and can reach all of it. The owner therefore believes nothing of what is said here but
that this code said so; limits that matter are those of the engine around it and of the owner.
"""

import ast
import asyncio
import codecs
import fcntl
import inspect
import io
import json
import linecache
import os
import resource
import select
import shutil
import site
import struct
import sys
import termios
import threading
import time
import traceback
import types

DATA = '/mnt/data'
IMAGES = '/mnt/images'
PACKAGES = '/packages'
# What matplotlib knows about fonts, from the set-up of the packages. It looks for it in a folder that it can write to.
FONTS = '/fonts'
# What one call may say. The owner cuts at the same limits, and tells.
MAX_LOG_BYTES = 64 * 1024
MAX_IMAGES = 20
MAX_FILES = 20
MAX_ENTRIES = 10_000
# A piece of logs is sent when it has this many characters, or is this old.
PIECE_CHARACTERS = 8_000
PIECE_S = 0.05
# How long a call waits for the rest of what its children wrote.
REST_S = 0.5


class Channel:
    """Lines to the owner, and the logs that are gathered for them."""

    def __init__(self, descriptor):
        self.descriptor = descriptor
        self.lock = threading.RLock()
        self.nonce = None
        self.pieces = []
        self.characters = 0
        self.bytes = 0

    def say(self, kind, **fields):
        line = json.dumps({'nonce': self.nonce, 'type': kind, **fields}).encode() + b'\n'
        with self.lock:
            while line:
                line = line[os.write(self.descriptor, line) :]

    def begin(self, nonce):
        with self.lock:
            self.nonce, self.bytes = nonce, 0

    def log(self, text):
        with self.lock:
            # Nothing is said between calls; and beyond its limit the owner only needs to see that there was more.
            if self.nonce is None or self.bytes > MAX_LOG_BYTES or not text:
                return
            text = text[: MAX_LOG_BYTES + 1 - self.bytes]
            self.bytes += len(text.encode('utf-8', 'replace'))
            self.pieces.append(text)
            self.characters += len(text)
            if self.characters >= PIECE_CHARACTERS:
                self.flush()

    def flush(self):
        with self.lock:
            text = ''.join(self.pieces)
            self.pieces, self.characters = [], 0
            for start in range(0, len(text), PIECE_CHARACTERS):
                self.say('logs', text=text[start : start + PIECE_CHARACTERS])

    def end(self, **fields):
        with self.lock:
            self.flush()
            self.say('done', **fields)
            self.nonce = None


class Output(io.TextIOBase):
    """What code has as sys.stdout and sys.stderr."""

    encoding = 'utf-8'
    errors = 'replace'

    def __init__(self, channel, descriptor):
        self.channel = channel
        self.descriptor = descriptor
        self.buffer = open(descriptor, 'wb', buffering=0, closefd=False)

    def writable(self):
        return True

    def fileno(self):
        return self.descriptor

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError(f'write() argument must be str, not {type(text).__name__}')
        if os.getpid() == PID:
            self.channel.log(text)
        else:
            # A child that was forked, not executed: two processes must not write to the channel.
            self.buffer.write(text.encode('utf-8', 'replace'))
        return len(text)


class Pump(threading.Thread):
    """Makes logs of what children and compiled code write to the descriptors 1 and 2, and sends those that are old."""

    def __init__(self, channel, descriptor):
        super().__init__(daemon=True)
        self.channel = channel
        self.descriptor = descriptor
        self.decoder = codecs.getincrementaldecoder('utf-8')('replace')
        self.wakes, self.waker = os.pipe()
        self.has_read = threading.Event()

    def run(self):
        while True:
            timeout = None if self.channel.nonce is None else PIECE_S
            readable, _, _ = select.select([self.descriptor, self.wakes], [], [], timeout)
            if self.wakes in readable:
                os.read(self.wakes, 1)
            if self.descriptor in readable:
                data = os.read(self.descriptor, 1 << 16)
                if not data:
                    return
                self.channel.log(self.decoder.decode(data))
            elif self.channel.pieces:
                self.channel.flush()
            if self.descriptor not in readable:
                self.has_read.set()

    def wake(self):
        os.write(self.waker, b'.')

    def drain(self):
        """Waits until nothing that was written is unread."""
        end = time.monotonic() + REST_S
        while time.monotonic() < end and self.is_alive():
            self.has_read.clear()
            self.wake()
            self.has_read.wait(end - time.monotonic())
            if struct.unpack('i', fcntl.ioctl(self.descriptor, termios.FIONREAD, b'\0' * 4))[0] == 0:
                return


class Pictures:
    """The charts and pictures of a call, as PNG files that the owner finds by their names."""

    def __init__(self, channel):
        self.channel = channel
        self.made = 0
        self.of_call = 0

    def add(self, png):
        if self.channel.nonce is None:
            return
        self.of_call += 1
        if self.of_call > MAX_IMAGES:
            if self.of_call == MAX_IMAGES + 1:
                self.channel.log(f'[Only the first {MAX_IMAGES} images are kept.]\n')
            return
        self.made += 1
        name = f'{os.getpid()}-{self.made}.png'
        with open(f'{IMAGES}/{name}', 'wb') as file:
            file.write(png)
        self.channel.flush()
        self.channel.say('image', name=name)


def show(value):
    """Shows a value as a notebook does: a picture as an image, anything else as its repr."""
    png = getattr(type(value), '_repr_png_', None)
    data = png(value) if callable(png) else None
    if isinstance(data, bytes):
        pictures.add(data)
    else:
        print(repr(value))


def show_all(*values):
    """`display`, as notebooks have it."""
    for value in values:
        show(value)


def show_figures():
    """Shows what matplotlib has open, and closes it."""
    pyplot = sys.modules.get('matplotlib.pyplot')
    if pyplot is None:
        return
    for number in pyplot.get_fignums():
        data = io.BytesIO()
        pyplot.figure(number).savefig(data, format='png')
        pyplot.close(number)
        pictures.add(data.getvalue())


def run_compiled(tree, name, mode, variables):
    compiled = compile(tree, name, mode, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    value = eval(compiled, variables)
    return loop().run_until_complete(value) if compiled.co_flags & inspect.CO_COROUTINE else value


def loop():
    global event_loop
    if event_loop is None:
        event_loop = asyncio.new_event_loop()
        asyncio.set_event_loop(event_loop)
    return event_loop


def run(code, name, variables):
    """Runs one piece of code. Returns whether it ended by an exception; the traceback is in the logs then."""
    linecache.cache[name] = (len(code), None, code.splitlines(True), name)
    try:
        try:
            tree = ast.parse(code, name)
            last = None
            is_shown = tree.body and isinstance(tree.body[-1], ast.Expr) and not code.rstrip().endswith(';')
            if is_shown:
                last = ast.Expression(tree.body.pop().value)
            run_compiled(tree, name, 'exec', variables)
            if last is not None:
                value = run_compiled(last, name, 'eval', variables)
                if value is not None:
                    variables['_'] = value
                    show(value)
        finally:
            if os.getpid() == PID:
                show_figures()
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code)
        return False
    except BaseException as error:
        say_traceback(error)
        return True
    return False


def say_traceback(error):
    trace = error.__traceback__
    # The frames of this file are not the reader's.
    while trace is not None and not trace.tb_frame.f_code.co_filename.startswith('<cell '):
        trace = trace.tb_next
    try:
        text = ''.join(traceback.format_exception(type(error), error, trace))
    except BaseException:
        text = f'{type(error).__name__}, which cannot be printed.\n'
    sys.stderr.write(text)


def look():
    """Path → what tells whether a file has changed, for all files in the data folder. Links are not followed."""
    found = {}
    folders = [DATA]
    entries = 0
    while folders and entries < MAX_ENTRIES:
        try:
            with os.scandir(folders.pop()) as listing:
                for entry in listing:
                    entries += 1
                    if entries > MAX_ENTRIES:
                        break
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        stat = entry.stat(follow_symlinks=False)
                        changed = (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)
                        found[entry.path[len(DATA) + 1 :]] = changed
        except OSError:
            continue
    return found


def changed_since(before, after):
    paths = sorted(path for path, state in after.items() if before.get(path) != state)
    names = [path for path in paths if path.isprintable() and len(path) <= 500]
    return names[:MAX_FILES], len(paths) - len(names[:MAX_FILES])


def serve(requests, channel, pump):
    variables = main.__dict__
    before = look()
    channel.say('ready')
    for call, line in enumerate(requests, start=1):
        request = json.loads(line)
        channel.begin(request['nonce'])
        pump.wake()
        pictures.of_call = 0
        has_raised = run(request['code'], f'<cell {call}>', variables)
        if os.getpid() != PID:
            # The code forked, and its child came to the end of the code.
            os._exit(0)
        pump.drain()
        after = look()
        files, more = changed_since(before, after)
        before = after
        channel.end(raised=has_raised, files=files, more=more)


def limit(limits):
    for name, value in limits.items():
        kind = getattr(resource, f'RLIMIT_{name}')
        hard = resource.getrlimit(kind)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bound, bound))


def guard():
    """Where this is the first process of a container: a parent that ends it all when the owner is gone."""
    child = os.fork()
    if child == 0:
        return
    watch = select.poll()
    # Nothing but its end: the requests are for the child.
    watch.register(0, 0)
    while True:
        if watch.poll(200):
            os._exit(1)
        ended, status = os.waitpid(-1, os.WNOHANG)
        if ended == child:
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


if __name__ == '__main__':
    if os.getpid() == 1:
        guard()
    limit(json.loads(sys.argv[1]))
    del sys.argv[1:]
    PID = os.getpid()
    requests = open(fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, 50), 'rb')
    channel = Channel(fcntl.fcntl(1, fcntl.F_DUPFD_CLOEXEC, 50))
    nothing = os.open('/dev/null', os.O_RDONLY)
    reading, writing = os.pipe()
    for source, target in ((nothing, 0), (writing, 1), (writing, 2)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(writing)
    sys.stdin = open(0, encoding='utf-8', closefd=False)
    sys.stdout = sys.__stdout__ = Output(channel, 1)
    sys.stderr = sys.__stderr__ = Output(channel, 2)
    pictures = Pictures(channel)
    event_loop = None

    # Code is `__main__`: what it defines can be pickled. This file has another name, by which charts.py finds it.
    kernel = sys.modules['__main__']
    main = types.ModuleType('__main__')
    main.display = show_all
    sys.modules['kernel'] = kernel
    sys.modules['__main__'] = main
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    if os.path.isdir(PACKAGES):
        site.addsitedir(PACKAGES)
        os.environ['PYTHONPATH'] = PACKAGES
    if os.path.isdir(FONTS):
        shutil.copytree(FONTS, os.environ['MPLCONFIGDIR'])
    site.setquit()
    site.sethelper()
    os.chdir(DATA)
    pump = Pump(channel, reading)
    pump.start()
    serve(requests, channel, pump)
