"""What runs on the other side: the fork server and the kernels. Run as a package named `guest`, without `mario`.

__main__.py  the server: imports the guest's packages once, forks a kernel on order
namespaces.py lockdown.py landlock.py seccomp.py   the walls: round the server, round each kernel, files, system calls
syscalls.py  what they are built with      scratch.py  tidying what snippets leave on the disk
runner.py    the loop of one kernel      echo.py  one snippet as a notebook cell
output.py    catching what a snippet writes
"""
