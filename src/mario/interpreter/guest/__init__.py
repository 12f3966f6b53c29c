"""What runs on the other side: the fork server and the kernels. Run as a package named `guest`, without `mario`.

__main__.py preload.py    the start: imports the guest's packages once, and packs the heap
server.py    the host's orders     population.py family.py   whom they are about: births, deaths, who may fork
watch.py     what they take together     forking.py   the server's forks, made cheap
namespaces.py lockdown.py landlock.py seccomp.py   the walls: round the server, round each kernel, files, system calls
syscalls.py  what they are built with      scratch.py  tidying what snippets leave on the disk
runner.py    the loop of one kernel      branching.py  its forks      echo.py  one snippet as a notebook cell
output.py    catching what a snippet writes      private.py   builtins that no snippet reaches
"""
