"""Programs that try to get past the walls: at files, processes, the network, rights, memory and shared quotas.

A case prints ESCAPED when it reached what it must not reach. Bait is filled in by name (`arena.py`): BAIT_FILE,
BAIT_PID, BAIT_PORT, BAIT_UNIX, BAIT_ABSTRACT, BAIT_SHM, BAIT_HASH (of a secret), BAIT_SOURCE, BAIT_ALLOWED,
BAIT_ROOT and BAIT_RECOVERS (of the setting).
What this file does not do: it runs nothing.
"""

# A case is a program, on one line where that reads better.
# ruff: noqa: E501

from __future__ import annotations

PRELUDE = """
import ctypes, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
def escaped(*what): print("ESC" + "APED", *what)
def attempt(f, *a):
    try: r = f(*a)
    except OSError: return
    escaped(f, r)
def call(number, *a):
    ctypes.set_errno(0)
    r = libc.syscall(ctypes.c_long(number), *[ctypes.c_long(x) if isinstance(x, int) else x for x in a])
    if r >= 0: escaped("syscall", number, r)
def machine_code(code):
    import mmap
    global page
    page = mmap.mmap(-1, 4096, prot=7)
    page.write(code)
    return ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
"""

CASES: dict[str, dict[str, str]] = {
    "files": {
        "read /etc/passwd": "attempt(open, '/etc/passwd')",
        "read a file of the host": "attempt(open, 'BAIT_FILE')",
        "write a file of the host": "attempt(open, 'BAIT_FILE', 'a')",
        "truncate a file of the host": "attempt(os.truncate, 'BAIT_FILE', 0)",
        "truncate through read-only open": "attempt(os.open, os.__file__, os.O_RDONLY | os.O_TRUNC); attempt(os.open, 'BAIT_FILE', os.O_RDONLY | os.O_TRUNC)",
        "open with access mode 3": "attempt(os.open, 'BAIT_FILE', 3); attempt(os.open, 'BAIT_FILE', 3 | os.O_TRUNC)",
        "open a path only": "attempt(os.open, 'BAIT_FILE', os.O_PATH); attempt(os.open, '/etc', os.O_PATH | os.O_DIRECTORY)",
        "delete a file of the host": "attempt(os.unlink, 'BAIT_FILE')",
        "rename a file of the host": "attempt(os.rename, 'BAIT_FILE', 'mine')",
        "rename onto a file of the host": "open('mine', 'w').write('x')\nattempt(os.replace, 'mine', 'BAIT_FILE')",
        "exchange with a file of the host": "open('mine', 'w').write('x')\ncall(316, -100, b'mine', -100, b'BAIT_FILE', 2)",
        "chmod a file of the host": "attempt(os.chmod, 'BAIT_FILE', 0o777); call(90, b'BAIT_FILE', 0o777); call(268, -100, b'BAIT_FILE', 0o777)",
        "chown a file of the host": "attempt(os.chown, 'BAIT_FILE', os.getuid(), -1); attempt(os.lchown, 'BAIT_FILE', -1, -1)",
        "touch a file of the host": "attempt(os.utime, 'BAIT_FILE', (1, 1)); call(280, -100, b'BAIT_FILE', 0, 0)",
        "attributes of a file of the host": "attempt(os.setxattr, 'BAIT_FILE', 'user.x', b'1'); attempt(os.getxattr, 'BAIT_FILE', 'user.x')",
        "write into the standard library": "attempt(open, os.__file__, 'a'); attempt(os.chmod, os.__file__, 0o777)",
        "add to the standard library": "attempt(open, os.path.dirname(os.__file__) + '/evil.py', 'w'); attempt(os.mkdir, os.path.dirname(os.__file__) + '/evil')",
        "poison the byte code": "import glob\nfor f in glob.glob(os.path.dirname(os.__file__) + '/__pycache__/*')[:5]: attempt(open, f, 'r+b'); attempt(os.unlink, f)",
        "list the host's root": "names = []\ntry: names = os.listdir('/')\nexcept OSError: pass\nif 'home' in names: escaped(names)",
        "list the folder of the bait": "attempt(os.listdir, os.path.dirname('BAIT_FILE')); attempt(os.scandir, os.path.dirname('BAIT_FILE'))",
        "list home folders": "for f in ('/root', '/home', '/etc', '/var', '/opt', '/srv', '/sys', '/run', '/boot'): attempt(os.listdir, f)",
        "symlink out of the scratch": "attempt(os.symlink, 'BAIT_FILE', 'link')\nattempt(open, 'link')",
        "hard link out of the scratch": "attempt(os.link, 'BAIT_FILE', 'link'); call(265, -100, b'BAIT_FILE', -100, b'link', 0)",
        "hard link inside the scratch": "open('a', 'w').close()\nattempt(os.link, 'a', 'b')",
        "climb by ..": "attempt(open, '../' * 30 + 'etc/passwd')",
        "climb by a folder's descriptor": "d = os.open('.', os.O_RDONLY)\nfor path in ('../' * 30 + 'etc/passwd', '/etc/passwd'): attempt(lambda: os.open(path, os.O_RDONLY, dir_fd=d))",
        "climb by chdir": "try:\n    for _ in range(30): os.chdir('..')\n    os.chdir('etc')\nexcept OSError: pass\nattempt(open, 'passwd'); attempt(os.listdir, '.') if os.getcwd() == '/etc' else None",
        "escape by moving a folder": "os.makedirs('a/b'); os.chdir('a/b')\nd = os.open('..', os.O_RDONLY)\nos.rename('../../a/b', '../../b')\nattempt(lambda: os.open('../../../../../etc/passwd', os.O_RDONLY, dir_fd=d))\nattempt(open, '../' * 20 + 'etc/shadow')",
        "open a device": "for f in ('/dev/mem', '/dev/kmsg', '/dev/tty', '/dev/ptmx', '/dev/kvm', '/dev/fuse', '/dev/vda', '/dev/sda', '/dev/console'): attempt(open, f, 'rb')",
        "make a device": "attempt(os.mknod, 'd', 0o20666, os.makedev(1, 1)); call(133, b'e', 0o60666, os.makedev(8, 0))",
        "make a fifo or a socket": "attempt(os.mkfifo, 'f'); attempt(lambda: socket.socket(socket.AF_UNIX).bind('s'))",
        "mount": "if libc.mount(b'none', b'.', b'tmpfs', 0, None) == 0: escaped()",
        "unmount": "call(166, b'.', 2); call(166, b'/tmp', 2)",
        "new mount calls": "call(430, b'tmpfs', 0); call(432, 0, 0, 0); call(428, -100, b'/', 1); call(442, -100, b'/', 0, ctypes.create_string_buffer(32), 32); call(429, 0, b'', 0, b'', 0); call(431, 0, 0, 0, 0, 0)",
        "remount writable": "if libc.mount(None, os.path.dirname(os.__file__).encode(), None, 32 | 4096, None) == 0: escaped()",
        "chroot": "attempt(os.chroot, '.'); call(155, b'.', b'.')",
        "open by handle": "call(303, -100, b'/', ctypes.create_string_buffer(136), ctypes.byref(ctypes.c_int()), 0); call(304, -100, ctypes.create_string_buffer(136), 0)",
        "openat2": "call(437, -100, b'/etc/passwd', ctypes.create_string_buffer(24), 24)",
        "read the server's code": "attempt(open, 'BAIT_SOURCE')",
        "quota and accounting": "call(179, 0x800002, 0, 0, 0); call(163, b'acct'); call(443, 0, 0, 0, 0)",
        "swap": "call(167, b'swap', 0); call(168, b'/swapfile')",
        "watch files": "call(294, 0); call(253); call(300, 0, 0)",
        "lock a shared file": "import fcntl\nattempt(lambda: fcntl.flock(open(os.__file__), fcntl.LOCK_EX))\nattempt(lambda: fcntl.lockf(open(os.__file__), fcntl.LOCK_EX))\nattempt(lambda: fcntl.fcntl(open(os.__file__), 1024, 0))",
    },
    "proc": {
        "environ of oneself": "attempt(open, '/proc/self/environ', 'rb')",
        "memory of oneself": "attempt(open, '/proc/self/mem', 'r+b'); attempt(open, '/proc/thread-self/mem', 'rb'); attempt(open, '/proc/self/maps')",
        "memory of the parent": "attempt(open, f'/proc/{os.getppid()}/mem', 'rb'); attempt(open, f'/proc/{os.getppid()}/environ', 'rb')",
        "the bait's environment": "attempt(open, '/proc/BAIT_PID/environ', 'rb'); attempt(open, '/proc/BAIT_PID/cmdline', 'rb')",
        "the first process": "for f in ('environ', 'mem', 'cmdline', 'status', 'mountinfo'): attempt(open, '/proc/1/' + f, 'rb')",
        "through the root of another": "attempt(open, '/proc/1/root/etc/passwd'); attempt(open, '/proc/BAIT_PID/root/etc/passwd'); attempt(os.listdir, '/proc/BAIT_PID/cwd')",
        "links of another": "attempt(os.readlink, '/proc/BAIT_PID/exe'); attempt(os.readlink, '/proc/BAIT_PID/cwd'); attempt(os.readlink, f'/proc/{os.getppid()}/fd/0')",
        "descriptors of another": "attempt(open, f'/proc/{os.getppid()}/fd/3', 'r+b'); attempt(os.listdir, f'/proc/{os.getppid()}/fd')",
        "namespaces of another": "attempt(os.open, '/proc/BAIT_PID/ns/mnt', 0); attempt(os.open, '/proc/1/ns/net', 0)",
        "adjust the oom score": "attempt(open, '/proc/self/oom_score_adj', 'w')",
        "list processes": "attempt(os.listdir, '/proc')",
        "sysctls": "for f in ('kernel/core_pattern', 'kernel/modprobe', 'vm/drop_caches', 'kernel/hostname'): attempt(open, '/proc/sys/' + f, 'r+')",
        "sysrq": "attempt(open, '/proc/sysrq-trigger', 'w'); attempt(open, '/proc/kcore', 'rb'); attempt(open, '/proc/kallsyms')",
        "groups of processes": "attempt(open, '/sys/fs/cgroup/cgroup.procs', 'w'); attempt(os.listdir, '/sys/fs/cgroup')",
        "user mappings": "attempt(open, '/proc/self/uid_map', 'w'); attempt(open, '/proc/self/setgroups', 'w')",
        "write into one's own code": "attempt(open, '/proc/self/exe', 'r+b'); attempt(open, sys.executable, 'r+b')",
    },
    "network": {
        "tcp": "attempt(socket.create_connection, ('127.0.0.1', BAIT_PORT), 1)",
        "udp": "attempt(socket.socket, socket.AF_INET, socket.SOCK_DGRAM)",
        "ipv6": "attempt(socket.socket, socket.AF_INET6, socket.SOCK_STREAM)",
        "raw": "attempt(socket.socket, socket.AF_INET, socket.SOCK_RAW, 1)",
        "listen": "attempt(socket.create_server, ('', 0))",
        "unix socket": "attempt(lambda: socket.socket(socket.AF_UNIX).connect('BAIT_UNIX'))",
        "abstract socket": "attempt(lambda: socket.socket(socket.AF_UNIX).connect('\\0BAIT_ABSTRACT'))",
        "datagram pair": "attempt(socket.socketpair, socket.AF_UNIX, socket.SOCK_DGRAM); attempt(socket.socketpair, socket.AF_UNIX, socket.SOCK_SEQPACKET)",
        "stream pair aimed elsewhere": "a, b = socket.socketpair()\nattempt(a.sendto, b'x', 'BAIT_UNIX'); attempt(a.connect, 'BAIT_UNIX'); attempt(a.bind, '\\0mine')",
        "urgent bytes": "a, b = socket.socketpair()\nattempt(a.send, b'x', socket.MSG_OOB); attempt(b.recv, 1, socket.MSG_OOB)",
        "descriptors through a socket": "a, b = socket.socketpair()\nattempt(socket.send_fds, a, [b'x'], [0, 1, 2])\nattempt(socket.send_fds, socket.socket(fileno=os.dup(3)), [b'x'], [0])",
        "who is the peer": "s = socket.socket(fileno=os.dup(3))\nfor option in (16, 17, 31, 59, 76, 77): attempt(s.getsockopt, 1, option, 64)",
        "socket options": "s = socket.socket(fileno=os.dup(3))\nfor option in (7, 16, 26, 32, 33, 50): attempt(s.setsockopt, 1, option, 1)",
        "every family": "for family in range(64):\n    for kind in (1, 2, 3, 5): attempt(socket.socket, family, kind)",
        "netlink": "attempt(socket.socket, socket.AF_NETLINK, socket.SOCK_RAW, 0); attempt(socket.socket, 16, 3, 15)",
        "vsock": "attempt(socket.socket, 40, socket.SOCK_STREAM); attempt(socket.socket, 40, socket.SOCK_DGRAM)",
        "alg": "attempt(socket.socket, 38, 5); attempt(socket.socketpair, 38, 5)",
        "packet": "attempt(socket.socket, 17, 3); attempt(socket.socket, 44, 3)",
        "io_uring": "call(425, 8, ctypes.create_string_buffer(120)); call(426, 3, 1, 0, 0, 0, 0); call(427, 3, 0, 0, 0)",
        "dns": "attempt(socket.getaddrinfo, 'localhost', 80); attempt(socket.gethostbyname, 'localhost')",
        "urllib": "import urllib.request\nattempt(urllib.request.urlopen, 'http://127.0.0.1:BAIT_PORT/')",
    },
    "processes": {
        "fork": "attempt(os.fork); attempt(os.forkpty)",
        "fork by number": "call(57); call(58)",
        "clone by number": "call(56, 17, 0, 0, 0, 0); call(56, 0, 0, 0, 0, 0); call(56, 0x4100 | 17, 0, 0, 0, 0)",
        "clone a sibling": "call(56, 0x8000 | 17, 0, 0, 0, 0); call(56, 0x8000, 0, 0, 0, 0); call(56, 1 << 32 | 0x8000 | 17, 0, 0, 0, 0)",
        "clone into namespaces": "for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000, 0x80): call(56, 17 | flag, 0, 0, 0, 0); call(56, 0x10f00 | flag, 0, 0, 0, 0)",
        "clone3": "call(435, ctypes.create_string_buffer(88), 88)",
        "exec": "attempt(os.execv, sys.executable, ['python', '-c', 'print(1)']); call(59, b'/bin/true', 0, 0); call(322, -100, b'/bin/true', 0, 0, 0)",
        "exec a file of one's own": "open('x', 'w').write('#!/bin/sh\\n'); attempt(os.chmod, '/bin/sh', 0o777)\nattempt(os.execv, './x', ['x'])",
        "subprocess": "import subprocess\nattempt(subprocess.run, ['/bin/true'])",
        "system": "if os.system('true') == 0: escaped()\nattempt(os.popen, 'true')",
        "posix_spawn": "attempt(os.posix_spawn, '/bin/true', ['true'], {})",
        "multiprocessing": "import multiprocessing\nattempt(lambda: multiprocessing.get_context('fork').Process(target=print).start())",
        "pseudo terminal": "import pty\nattempt(pty.openpty); attempt(pty.spawn, '/bin/true')",
        "fork bomb": "for _ in range(1000): attempt(os.fork)",
        "fork bomb of threads": "import threading\ndef bomb():\n    for _ in range(300): attempt(os.fork)\nts = [threading.Thread(target=bomb) for _ in range(8)]\nfor t in ts: t.start()\nfor t in ts: t.join()",
        "thread bomb": "import threading, time\nthreading.stack_size(32768)\nn = 0\ntry:\n    for _ in range(3000):\n"
        "        threading.Thread(target=time.sleep, args=(9,), daemon=True).start(); n += 1\nexcept RuntimeError: pass\n"
        "if n > 1500: escaped(n)",
        "memory shared with the parent": "call(56, 0x100 | 0x8000 | 17, 0, 0, 0, 0); call(272, 0x400)",
        "outlive the kernel": "if libc.prctl(1, 0, 0, 0, 0) == 0: escaped()\nif libc.prctl(1, 15, 0, 0, 0) == 0: escaped()\nattempt(os.setsid); attempt(os.setpgid, 0, 0); attempt(os.setpgrp)",
        "become a reaper": "if libc.prctl(36, 1, 0, 0, 0) == 0: escaped()",
        "wait for others": "attempt(os.waitpid, -1, os.WNOHANG); attempt(os.waitpid, BAIT_PID, os.WNOHANG)",
    },
    "signals and debugging": {
        "signal the parent": "attempt(os.kill, os.getppid() or 1, 0); attempt(os.kill, os.getppid() or 1, 9)",
        "signal the bait": "attempt(os.kill, BAIT_PID, 9); attempt(os.kill, BAIT_PID, 0)",
        "signal everybody": "attempt(os.kill, -1, 9); attempt(os.killpg, 0, 9); attempt(os.kill, 0, 9); attempt(os.kill, 1, 9)",
        "signal every process there may be": "for pid in range(1, 70000):\n    if pid != os.getpid() and libc.kill(pid, 0) == 0: escaped(pid)",
        "signal by thread": "call(200, BAIT_PID, 9); call(234, BAIT_PID, BAIT_PID, 9)",
        "queue a signal": "call(129, BAIT_PID, 9, ctypes.create_string_buffer(128)); call(297, BAIT_PID, BAIT_PID, 9, ctypes.create_string_buffer(128))",
        "pidfd": "attempt(os.pidfd_open, 1); call(434, BAIT_PID, 0); call(434, os.getpid(), 0); call(424, 0, 9, 0, 0); call(438, 0, 0, 0)",
        "aim a signal by fcntl": "import fcntl\nr, w = os.pipe()\nattempt(fcntl.fcntl, r, fcntl.F_SETOWN, BAIT_PID)\n"
        "attempt(fcntl.fcntl, r, 10, 9); attempt(fcntl.fcntl, r, 15, bytes(8))",
        "aim a signal by ioctl": "import fcntl\na, b = socket.socketpair()\nfor code in (0x8901, 0x8902, 0x5452): attempt(fcntl.ioctl, a, code, bytes(4))",
        "aim a timer": "call(222, 0, ctypes.create_string_buffer(64), ctypes.create_string_buffer(8)); call(283, 0, 0)",
        "ptrace": "call(101, 16, BAIT_PID, 0, 0); call(101, 0, 0, 0, 0); call(101, 0x4206, os.getppid(), 0, 0)",
        "memory across processes": "for pid in (BAIT_PID, os.getppid(), os.getpid()): call(310, pid, 0, 0, 0, 0, 0); call(311, pid, 0, 0, 0, 0, 0)",
        "compare processes": "call(312, os.getpid(), BAIT_PID, 0, 0, 0)",
        "allow a tracer": "if libc.prctl(4, 1, 0, 0, 0) == 0: escaped()\nif libc.prctl(0x59616d61, -1, 0, 0, 0) == 0: escaped()",
        "priorities of others": "attempt(os.getpgid, BAIT_PID); attempt(os.getsid, BAIT_PID); attempt(os.sched_getaffinity, BAIT_PID); attempt(os.sched_getscheduler, BAIT_PID); attempt(os.getpriority, 0, BAIT_PID)",
        "limits of others": "import resource\nattempt(resource.prlimit, BAIT_PID, resource.RLIMIT_CPU)\nattempt(resource.prlimit, os.getppid() or 1, resource.RLIMIT_NOFILE)",
        "processor time of others": "import time\nattempt(time.clock_gettime, ~BAIT_PID << 3 | 2); attempt(time.clock_gettime, ~os.getppid() << 3 | 2)",
        "type into the terminal": "import fcntl\nfor f in (0, 1, 2): attempt(fcntl.ioctl, f, 0x5412, b'x'); attempt(fcntl.ioctl, f, 0x541c, bytes(8))",
    },
    "rights": {
        "become root": "for f in (os.setuid, os.seteuid, os.setgid, os.setegid): attempt(f, 0)\nattempt(os.setresuid, 0, 0, 0); attempt(os.setresgid, 0, 0, 0); attempt(os.setgroups, [0]); call(122, 1); call(123, 0)",
        "be root": "if 0 in os.getresuid() and BAIT_ROOT: escaped(os.getresuid())\nif os.getgroups() and BAIT_ROOT: escaped(os.getgroups())",
        "raise limits": "import resource\nfor kind in range(16):\n    try: resource.setrlimit(kind, (-1, -1)); escaped(kind)\n"
        "    except (OSError, ValueError): pass",
        "new namespaces": "for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000, 0x80, 0x200, 0x400):\n    if libc.unshare(flag) == 0: escaped(flag)",
        "join a namespace": "call(308, 0, 0); call(308, 3, 0x40000000)",
        "capabilities": "call(126, ctypes.create_string_buffer(8), ctypes.create_string_buffer(24)); call(125, ctypes.create_string_buffer(8), 0)\nif libc.prctl(47, 2, 0, 0, 0) == 0: escaped()",
        "new seccomp filter": "call(317, 1, 0, 0); call(317, 1, 8, 0); call(317, 2, 0, ctypes.create_string_buffer(4))\nif libc.prctl(22, 1, 0, 0, 0) == 0: escaped()",
        "new landlock rules": "call(444, 0, 0, 1); call(444, ctypes.create_string_buffer(8), 8, 0); call(446, 0, 0)",
        "prctl, all of it": "for option in range(80):\n    if option not in (15, 16) and libc.prctl(option, 0, 0, 0, 0) >= 0: escaped(option)",
        "change personality": "call(135, 0x0400000); call(158, 0x1002, 0)",
        "bpf": "call(321, 0, ctypes.create_string_buffer(128), 128); call(321, 5, ctypes.create_string_buffer(128), 128)",
        "userfaultfd": "call(323, 0); call(323, 1)",
        "perf": "call(298, ctypes.create_string_buffer(128), 0, -1, -1, 0)",
        "keyring": "call(250, 0, -3, 1); call(250, 1, 0); call(248, b'user', b'x', b'y', 1, -3); call(249, b'user', b'x', 0, -3)",
        "kernel module": "call(313, 0, b'', 0); call(175, 0, 0, b''); call(176, b'x', 0); call(246, 0, 0, 0, 0, 0); call(320, 0, 0, 0, 0, 0)",
        "set the clock": "import time\nattempt(time.clock_settime, time.CLOCK_REALTIME, 0); call(164, ctypes.create_string_buffer(16), 0); call(159, ctypes.create_string_buffer(208)); call(305, 0, ctypes.create_string_buffer(208))",
        "set the host name": "attempt(socket.sethostname, 'evil'); call(171, b'evil', 4)",
        "reboot": "call(169, 0xfee1dead, 672274793, 0x1234567, 0)",
        "kernel log": "call(103, 3, ctypes.create_string_buffer(100), 100)",
        "input and output ports": "call(172, 3); call(173, 0, 100, 1)",
        "change scheduling": "attempt(os.nice, -5); attempt(os.sched_setaffinity, 0, {0}); attempt(os.setpriority, 0, 0, -5); call(144, 0, 1, ctypes.create_string_buffer(4)); call(251, 1, 0, 0x2000); call(314, 0, ctypes.create_string_buffer(56), 0)",
        "x32 calls": "for number in (41, 2, 57, 59, 520, 522, 536, 545): call(0x40000000 + number, 2, 1, 0)",
        "32-bit open": "if machine_code(bytes.fromhex('b805000000cd80c3')) >= 0: escaped()",
        "32-bit getpid": "if machine_code(bytes.fromhex('b814000000cd80c3')) >= 0: escaped()",
        "32-bit fork": "if machine_code(bytes.fromhex('b802000000cd80c3')) >= 0: escaped()",
        "32-bit socket": "if machine_code(bytes.fromhex('b867010000cd80c3')) >= 0: escaped()",
        "every call there is": "import ctypes\nfor n in range(1200):\n    if n in BAIT_ALLOWED: continue\n    for a in (0, 1, -1, 0x7fffffff):\n        ctypes.set_errno(0)\n        r = libc.syscall(ctypes.c_long(n), *[ctypes.c_long(a)] * 6)\n        if r >= 0 or ctypes.get_errno() not in (1, 38, 95): escaped(n, a, r, ctypes.get_errno())",
        "allowed calls with garbage": "import random\nrandom.seed(7)\nfor _ in range(20000):\n    n = random.choice(sorted(BAIT_ALLOWED - {60, 231, 34, 130, 15, 13, 14, 9, 10, 11, 12, 25, 28, 7, 23, 35, 230, 61, 202, 128, 270, 271, 232, 281, 0, 45, 47, 3, 33, 292, 48}))\n"
        "    libc.syscall(ctypes.c_long(n), *[ctypes.c_long(random.choice((0, 1, 2, 3, -1, 4096, 1 << 31, random.getrandbits(63)))) for _ in range(6)])",
    },
    "memory": {
        "memfd": "attempt(os.memfd_create, 'x'); call(447, 0)",
        "mmap": "import mmap\nm = []\ntry:\n    while len(m) < 40: x = mmap.mmap(-1, 1 << 26); x.write(bytes(1 << 20)); m.append(x)\n"
        "except OSError: pass\nif len(m) > 20: escaped(len(m))",
        "mmap of zeros": "import mmap\nm = []\ntry:\n    f = open('/dev/zero', 'r+b')\n    while len(m) < 40: x = mmap.mmap(f.fileno(), 1 << 26); x.write(b'x' * (1 << 26)); m.append(x)\nexcept OSError: pass\nif len(m) > 20: escaped(len(m))",
        "huge pages": "import mmap\nattempt(lambda: mmap.mmap(-1, 2 << 20, flags=0x40022)); attempt(lambda: mmap.mmap(-1, 2 << 20, flags=0x40021))",
        "lock memory": "call(149, id(0), 4096); call(151, 1); call(325, id(0), 4096, 0)\nimport mmap\nattempt(lambda: mmap.mmap(-1, 1 << 20, flags=0x2022))",
        "merge memory": "import mmap\nm = mmap.mmap(-1, 1 << 20)\nattempt(m.madvise, 12)\nif libc.prctl(67, 1, 0, 0, 0) == 0: escaped()",
        "poison memory": "import mmap\nm = mmap.mmap(-1, 1 << 20)\nattempt(m.madvise, 100); attempt(m.madvise, 101); call(440, 3, 0, 0, 21, 0)",
        "move pages": "call(279, 0, 0, 0, 0, 0, 0); call(256, 0, 0, 0, 0); call(237, 0, 0, 0, 0, 0, 0); call(239, 0, 0, 0, 0, 0)",
        "protection keys": "call(330, 0, 0); call(329, 0, 0, 0, 0); call(27, id(0) & ~4095, 4096, ctypes.create_string_buffer(10))",
        "bytes": "x = []\nwhile True: x.append(bytearray(1 << 24))",
        "one giant": "bytearray(1 << 40)",
        "lists that double": "x = [0]\nwhile True: x += x",
        "strings that double": "x = 'a'\nwhile True: x += x",
        "threads that eat": "import threading\ndef eat():\n    x = []\n    while True: x.append(bytearray(1 << 22))\nts = [threading.Thread(target=eat) for _ in range(8)]\nfor t in ts: t.start()\nfor t in ts: t.join()",
        "malloc": "libc.malloc.restype = ctypes.c_void_p\nfor _ in range(100000):\n    p = libc.malloc(ctypes.c_size_t(1 << 20))\n    if not p: break\n    ctypes.memset(p, 1, 1 << 20)\nelse: escaped()",
        "many maps": "import mmap\nm = []\ntry:\n    for i in range(70000): m.append(mmap.mmap(-1, 4096, prot=1 + i % 2 * 2))\nexcept OSError: pass",
        "the stack": "import re\nre.match('(' * 90 + 'a' + ')*' * 90, 'a' * 30000)",
        "recursion in C": "import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
        "recursion through C": "import sys, functools\nsys.setrecursionlimit(10**9)\nf = lambda *a: list(map(f, [1]))\nf()",
        "scan the heap for secrets": "import hashlib, re\nr, w = os.pipe()\nlibc.sbrk.restype = ctypes.c_void_p\nend, here = libc.sbrk(0), id([]) >> 20 << 20\n"
        "stack = ctypes.c_void_p.in_dll(libc, 'environ').value & ~4095\n"
        "for low, high in ((end - (64 << 20), end), (here - (32 << 20), here + (32 << 20)), (stack - (1 << 20), stack + (1 << 20))):\n"
        "    for page in range(low, high, 4096):\n        n = libc.write(w, ctypes.c_void_p(page), 4096)\n        if n > 0:\n"
        "            for found in re.findall(b'[0-9a-f]{32}', os.read(r, n)):\n                if hashlib.sha256(found).hexdigest() == 'BAIT_HASH': escaped(hex(page))",
        "the environment": "for name, value in os.environ.items():\n    if 'SECRET' in name or 'TOKEN' in name or 'KEY' in name: escaped(name)\nif len(os.environ) > 20: escaped(len(os.environ))",
    },
    "shared memory and queues": {
        "sysv shared memory": "call(29, 0, 1 << 20, 0o1600); call(29, 0x1234, 1 << 20, 0o1600); call(30, 0, 0, 0); call(31, 0, 0, 0)",
        "sysv messages": "call(68, 0, 0o1600); call(69, 0, 0, 0, 0); call(70, 0, 0, 0, 0, 0); call(71, 0, 0, 0)",
        "sysv semaphores": "call(64, 0, 1, 0o1600); call(65, 0, 0, 0); call(66, 0, 0, 0)",
        "posix shared memory": "attempt(open, '/dev/shm/x', 'w')\nfrom multiprocessing import shared_memory as s\n"
        "attempt(lambda: s.SharedMemory(create=True, size=10))",
        "the host's shared memory": "attempt(open, '/dev/shm/BAIT_SHM', 'r+b'); attempt(os.listdir, '/dev/shm')",
        "posix semaphores": "import multiprocessing\nattempt(multiprocessing.Semaphore)\nlibc.sem_open.restype = ctypes.c_void_p\nif libc.sem_open(b'/mario', 0x42, 0o600, 1): escaped()",
        "posix messages": "call(240, b'mario', 0x42, 0o600, 0); call(241, b'mario')",
    },
    "quotas": {
        "big files": "n = 0\ntry:\n    with open('big', 'wb') as f:\n        while n < 200: n += 1; f.write(bytes(1 << 20))\n"
        "except OSError: pass\nif n > 40: escaped(n)",
        "sparse files": "with open('big', 'wb') as f:\n    attempt(f.truncate, 1 << 40); attempt(os.posix_fallocate, f.fileno(), 0, 1 << 34)\n    attempt(os.pwrite, f.fileno(), b'x', 1 << 40)",
        "many descriptors": "n = 0\ntry:\n    while n < 1000: os.pipe(); n += 1\nexcept OSError: pass\nif n > 100: escaped(n)",
        "descriptors by dup": "n = 0\ntry:\n    while n < 1000: os.dup(0); n += 1\nexcept OSError: pass\nif n > 64: escaped(n)\nattempt(os.dup2, 0, 900)",
        "bigger pipes": "import fcntl\nr, w = os.pipe()\nattempt(fcntl.fcntl, w, 1031, 1 << 20)",
        "signals that wait": "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [50, 51])\nfor _ in range(5000): os.kill(os.getpid(), 50); os.kill(os.getpid(), 51)\n"
        "n = 0\nwhile signal.sigtimedwait([50, 51], 0): n += 1\nif n > 100: escaped(n)",
        "timers": "call(222, 0, 0, ctypes.create_string_buffer(8)); call(283, 0, 0); call(282, -1, 0, 8, 0); call(289, -1, 0, 8, 0)",
        "event polls": "import select\nn = 0\ntry:\n    e = [select.epoll() for _ in range(1000)]\n    n = len(e)\nexcept OSError: pass\nif n > 64: escaped(n)",
        "splice": "r, w = os.pipe()\ncall(275, r, 0, w, 0, 10, 0); call(276, r, w, 10, 0); call(278, w, 0, 0, 0); call(326, 0, 0, 0, 0, 10, 0)",
    },
}  # fmt: skip

# They take their time, or the disk's.
SLOW: dict[str, dict[str, str]] = {
    "quotas": {
        "many files": "n = 0\ntry:\n    while n < 300000: open(f'f{n}', 'w').close(); n += 1\nexcept OSError: pass\nif n > 100000: escaped(n)",
        "many big files": "n = 0\ntry:\n    while n < 400:\n        with open(f'f{n}', 'wb') as f: f.write(bytes(15 << 20)); n += 1\nexcept OSError: pass\nif n > 200: escaped(n)",
        "many deleted files": "fs = []\ntry:\n    while len(fs) < 400:\n        f = open('f', 'wb', 0); f.write(bytes(15 << 20)); os.unlink('f'); fs.append(f)\nexcept OSError: pass\nif len(fs) > 64: escaped(len(fs))",
        "deep folders": "n = 0\ntry:\n    while n < 3000: os.mkdir('d'); os.chdir('d'); n += 1\nexcept OSError: pass",
        "wide and deep folders": "for i in range(40):\n    try:\n        os.makedirs('/'.join([f'{i}'] + ['d'] * 20), mode=0o000 if i % 2 else 0o700); open(f'{i}/x', 'w').close()\n    except OSError: pass",
    },
    "processor": {
        "endless loop": "while True: pass",
        "endless loop in C": "from collections import deque\nfrom itertools import repeat\ndeque(repeat(1), maxlen=0)",
        "loop that catches everything": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
        "generator that swallows": "def g():\n    while True:\n        try: yield 1\n        except BaseException: pass\nfor x in g():\n    try: pass\n    except BaseException: pass",
        "huge integer": "x = 10 ** (10 ** 9)",
        "power tower": "10 ** 10 ** 10",
        "huge factorial": "import math\nmath.factorial(10 ** 8)",
        "huge string of digits": "import sys\nsys.set_int_max_str_digits(0)\nstr(3 ** (10 ** 7))",
        "regular expression": "import re\nre.match('(a|a)*(a|a)*b', 'a' * 4000)",
        "sorting with a comparison that loops": "class C:\n    def __lt__(self, o):\n        while True: pass\nsorted([C(), C()])",
        "sleep": "import time\ntime.sleep(3600)",
        "wait for a lock": "import threading\nl = threading.Lock(); l.acquire(); l.acquire()",
        "wait for a thread that never ends": "import threading, time\ndef f():\n    while True: time.sleep(1)\nt = threading.Thread(target=f); t.start(); t.join()",
        "read a pipe": "r, w = os.pipe()\nos.read(r, 1)",
        "busy threads": "import threading\ndef f():\n    while True: pass\nts = [threading.Thread(target=f) for _ in range(20)]\nfor t in ts: t.start()\nfor t in ts: t.join()",
        "stop oneself": "import signal\nos.kill(os.getpid(), signal.SIGSTOP)",
        "ignore the interrupt": "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass",
        "block the interrupt": "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))\nwhile True: pass",
        "snapshots for ever": "while True: libc.syscall(56, 0x8000 | 17, 0, 1, 0, 0)",
        "snapshots that run on": "for _ in range(1000): libc.syscall(56, 0x8000 | 17, 0, 5, 0, 0)\nwhile True: pass",
        "snapshots in threads": "import threading\ndef f():\n    while True: libc.syscall(56, 0x8000 | 17, 0, 1, 0, 0)\nfor _ in range(16): threading.Thread(target=f).start()",
        "refused forks for ever": "while True: libc.syscall(56, 0x8000 | 17, 0, 0, 0, 0)",
        "repr that loops": "class C:\n    def __repr__(self):\n        while True: pass\nC()",
        "error text that loops": "class E(Exception):\n    def __str__(self):\n        while True: pass\nraise E",
        "del that loops": "class C:\n    def __del__(self):\n        while True: pass\nx = C()\ndel x",
        "asyncio for ever": "import asyncio\nasync def f():\n    while True: await asyncio.sleep(0)\nasyncio.run(f())",
    },
}  # fmt: skip
