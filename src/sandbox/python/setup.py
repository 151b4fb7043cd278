"""Sets up the packages that code may use, once a machine: a virtual environment in the folder that is given.

Several processes may do this at the same time: a lock that ends with its process lets one work and the others wait. What
was begun and not finished is begun anew. Says what it does in lines of JSON on standard output.

    setup.py FOLDER PACKAGE…
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys

CHARTS = 'from matplotlib import font_manager, pyplot; pyplot.figure().savefig("/dev/null", format="png")'


def tell(**fields):
    print(json.dumps(fields), flush=True)


def run(*command, **options):
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, **options)
    if ended.returncode != 0:
        words = (ended.stderr.strip() or ended.stdout.strip()).splitlines()
        errors = [line for line in words if line.startswith('ERROR')] or words
        tell(failed=' '.join(errors[-2:])[-500:] or f'exit code {ended.returncode}')
        sys.exit(1)


def main(folder, packages):
    os.makedirs(folder, exist_ok=True)
    with open(f'{folder}/lock', 'w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(progress='Another process is setting up the packages of the code interpreter.')
            fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(f'{folder}/ready'):
            return
        tell(progress=f'Setting up the packages of the code interpreter: {", ".join(packages)}. This takes a minute, once.')
        for begun in ('venv', 'matplotlib'):
            shutil.rmtree(f'{folder}/{begun}', ignore_errors=True)
        if os.path.lexists(f'{folder}/packages'):
            os.unlink(f'{folder}/packages')
        run(sys.executable, '-m', 'venv', '--symlinks', f'{folder}/venv')
        python = f'{folder}/venv/bin/python'
        site = f'venv/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages'
        # Only wheels: to build a package is to run its code, here and not in the sandbox.
        pip = ['-m', 'pip', 'install', '--only-binary=:all:', '--disable-pip-version-check', '--no-input', '--quiet']
        run(python, *pip, '--no-compile', *packages)
        # Compiled files name the folder that they come from: here that of the sandbox.
        compiling = [python, '-m', 'compileall', '-q', '-j', '0', '-s', f'{folder}/{site}', '-p', '/packages']
        subprocess.run([*compiling, f'{folder}/{site}'], capture_output=True)
        os.symlink(site, f'{folder}/packages')
        tell(progress='The packages are there; fonts are being looked for.')
        # matplotlib would look for fonts in every sandbox anew, for a second or two.
        run(python, '-c', CHARTS, env={'MPLBACKEND': 'agg', 'MPLCONFIGDIR': f'{folder}/matplotlib', 'PATH': '/usr/bin:/bin'})
        with open(f'{folder}/ready', 'w'):
            pass


if __name__ == '__main__':
    main(sys.argv[1], sys.argv[2:])
