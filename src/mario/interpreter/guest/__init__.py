"""What runs on the other side: the fork server and the kernels. Run as a package named `guest`, without `mario`.

__main__.py  the server: imports the guest's packages once, forks a kernel on order
lockdown.py  taking rights away: namespaces, limits, Landlock      seccomp.py  the calls a kernel may make
runner.py    the loop of one kernel      echo.py  one snippet as a notebook cell
output.py    catching what a snippet writes
"""
