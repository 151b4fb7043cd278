#!/bin/sh
# Checks rules and configuration of Prometheus with promtool (on Debian, in the package `prometheus`), and the dashboard
# for being JSON.
set -eu
cd "$(dirname "$0")"
node -e "JSON.parse(require('fs').readFileSync('grafana/longrun.json', 'utf8'))"
promtool check config prometheus/prometheus.yml
promtool test rules prometheus/alerts.test.yaml
