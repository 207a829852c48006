"""A script that becomes another program, as `nobody` where it is started by root, and dies with its parent."""

import os
import pwd
import sys

from cli.tied_to_parent import become

if __name__ == "__main__":
    parent, program, *arguments = sys.argv[1:]
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        os.setgroups([])
        os.setgid(nobody.pw_gid)
        os.setuid(nobody.pw_uid)
    # Last: a process that changes its user loses the tie to its parent.
    become(int(parent), program, arguments)
