#!/usr/bin/python3 -I
"""Stands in for Docker where there is none: notes how it is called, and runs the command in bubblewrap as its first process."""

import json
import os
import sys

FLAGS = {'--interactive', '--rm', '--read-only'}

command, *rest = sys.argv[1:]
if command == 'run':
    options = []
    while rest[0].startswith('--'):
        name = rest.pop(0)
        options.append([name, None if name in FLAGS else rest.pop(0)])
    image, *inner = rest
    with open(os.path.join(os.path.dirname(__file__), 'called'), 'a') as called:
        called.write(json.dumps({'options': options, 'image': image, 'inner': inner}) + '\n')
    volumes = [value.split(':') for name, value in options if name == '--volume']
    if '/setup' in inner:
        folder = next(source for source, target, *_ in volumes if target == '/setup')
        for name in ('packages', 'matplotlib'):
            os.mkdir(f'{folder}/{name}')
        open(f'{folder}/ready', 'w').close()
        sys.exit()
    binds = [part for source, target, *_ in volumes for part in ('--bind', source, target)]
    variables = [part for name, value in options if name == '--env' for part in ('--setenv', *value.split('=', 1))]
    system = [part for path in ('/usr', '/lib', '/lib64', '/etc/ld.so.cache') for part in ('--ro-bind-try', path, path)]
    namespaces = ['--unshare-pid', '--unshare-net', '--as-pid-1', '--die-with-parent', '--clearenv']
    places = ['--dev', '/dev', '--tmpfs', '/tmp', *binds]
    os.execvp('bwrap', ['bwrap', *namespaces, *system, *variables, *places, '--', '/usr/bin/python3', *inner[1:]])
