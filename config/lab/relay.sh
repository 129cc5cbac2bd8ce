#!/bin/sh
# The relay of the lab: relay.sh UP-ADDRESS DOWN-ADDRESS SERVER... Interfaces are found by their addresses, because
# Docker numbers them as it likes.
named() { ip -o -4 address show to "$1" | cut -d ' ' -f 2; }
up=$(named "$1") down=$(named "$2")
shift 2
exec dhcrelay -4 -d --no-pid -a -iu "$up" -id "$down" "$@"
