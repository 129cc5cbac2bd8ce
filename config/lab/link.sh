#!/bin/sh
# The link to the partner, cut without a word to either end: link.sh PARTNER cut | heal | every SECONDS CUT-SECONDS.
partner=$1
cut() { ip route replace blackhole "$partner" && echo "link to $partner: cut"; }
heal() { ip route delete blackhole "$partner" && echo "link to $partner: healed"; }
case "$2" in
  cut) cut ;;
  heal) heal ;;
  every)
    while sleep "$3"; do
      cut
      sleep "$4"
      heal
    done
    ;;
  *) echo "link.sh PARTNER cut | heal | every SECONDS CUT-SECONDS" >&2; exit 2 ;;
esac
