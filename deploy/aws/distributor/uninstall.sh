#!/bin/sh
# Called by Distributor, also before an update that uninstalls first: the state and the configuration stay.
set -eu
cd "$(dirname "$0")"
sh ./host.sh remove
