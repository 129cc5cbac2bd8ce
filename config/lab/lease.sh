#!/bin/sh
# What udhcpc and dhclient call when something happened to their lease: sets the address, says what it was.
case "${1:-$reason}" in
  bound | renew) address=$ip prefix=${mask:-24} ;;
  BOUND | RENEW | REBIND | REBOOT) address=$new_ip_address prefix=24 interface=${interface:-eth0} router=$new_routers ;;
  deconfig | EXPIRE | FAIL | RELEASE | STOP) [ -n "$old_ip_address" ] && ip address delete "$old_ip_address/24" dev "$interface" 2>/dev/null ;;
esac
echo "lease: ${1:-$reason} ${address:--}"
[ -n "$address" ] && ip address replace "$address/$prefix" dev "$interface"
# A client behind the relay reaches its server through it.
[ -n "$address" ] && [ -n "$router" ] && ip route replace 10.77.0.0/24 via "${router%% *}" 2>/dev/null
exit 0
