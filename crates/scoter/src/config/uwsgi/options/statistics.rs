//! What the server says of itself.

use super::family::{Family, elsewhere, family, flag, gone, int, list, mapped, nothing, text};
use super::fate::Conversion::ByCode;
use super::fate::Where::Monitoring;
use super::reasons::PROMETHEUS;

pub(super) const FAMILIES: &[Family] = &[
    family(
        mapped(
            &["uwsgi-stats"],
            ByCode,
            "scoter status and metrics say more",
        ),
        &[text("stats"), text("stats-server")],
    ),
    family(
        mapped(
            &["uwsgi-stats"],
            ByCode,
            "the address answers over HTTP to those that speak it",
        ),
        &[flag("stats-http")],
    ),
    family(
        nothing("the statistics are always whole, and as short as they can be"),
        &[
            flag("stats-minified"),
            flag("stats-min"),
            flag("stats-no-cores"),
            flag("stats-no-metrics"),
        ],
    ),
    family(
        nothing("run scoter status: it shows the memory of each worker"),
        &[flag("memory-report").letter('m')],
    ),
    family(
        elsewhere(Monitoring, PROMETHEUS),
        &[
            list("stats-push"),
            int("stats-pusher-default-freq"),
            int("stats-pushers-default-freq"),
            flag("enable-metrics"),
            text("metrics-dir"),
            flag("metrics-dir-restore"),
            text("metric-dir"),
            flag("metric-dir-restore"),
            flag("metrics-no-cores"),
            list("carbon"),
            int("carbon-timeout"),
            int("carbon-freq"),
            text("carbon-id"),
            flag("carbon-no-workers"),
            int("carbon-max-retry"),
            int("carbon-retry-delay"),
            text("carbon-root"),
            text("carbon-hostname-dots"),
            flag("carbon-name-resolve"),
            flag("carbon-resolve-names"),
            text("carbon-idle-avg"),
            flag("carbon-use-metrics"),
            list("rrdtool"),
            int("rrdtool-freq"),
            text("rrdtool-lib"),
            text("snmp").optional(),
            text("snmp-community"),
            text("zabbix-template").optional(),
        ],
    ),
    family(
        gone("use prometheus_client in the application, with its multiprocess mode"),
        &[list("metric")],
    ),
    family(
        elsewhere(
            Monitoring,
            "let Prometheus warn, by what metrics serves: see monitoring/",
        ),
        &[
            list("alarm"),
            flag("alarm-cheap").required(),
            int("alarm-freq"),
            list("alarm-fd"),
            list("alarm-segfault"),
            list("segfault-alarm"),
            list("alarm-backlog"),
            list("backlog-alarm"),
            list("lq-alarm"),
            list("alarm-lq"),
            list("alarm-listen-queue"),
            list("listen-queue-alarm"),
            list("log-alarm"),
            list("alarm-log"),
            list("not-log-alarm"),
            list("not-alarm-log"),
            flag("alarm-list"),
            flag("alarms-list"),
            int("alarm-msg-size"),
            list("metric-threshold"),
            list("metric-alarm"),
            list("alarm-metric"),
        ],
    ),
    family(
        elsewhere(
            Monitoring,
            "uwsgi-curl --ping and scoter status --ready say whether the server answers",
        ),
        &[flag("nagios"), text("ping"), int("ping-timeout")],
    ),
    family(gone("use py-spy or perf"), &[text("profiler")]),
];
