//! Work beside requests.

use super::family::{Family, elsewhere, family, flag, gone, int, list, nothing, text};
use super::fate::Where::{Service, Timer};
use super::reasons::{SERVICE, TIMER};

pub(super) const FAMILIES: &[Family] = &[
    family(
        elsewhere(Timer, TIMER),
        &[list("cron"), list("cron2"), list("unique-cron")],
    ),
    family(
        elsewhere(Timer, "RuntimeMaxSec= in the service of the timer"),
        &[int("cron-harakiri")],
    ),
    family(
        elsewhere(Timer, "a timer of systemd that runs curl"),
        &[
            list("curl-cron"),
            list("cron-curl"),
            list("legion-curl-cron"),
            list("legion-cron-curl"),
            list("curl-cron-legion"),
            list("cron-curl-legion"),
        ],
    ),
    family(
        elsewhere(
            Timer,
            "a timer of systemd on one machine, or a CronJob of the cluster",
        ),
        &[
            list("legion-cron"),
            list("cron-legion"),
            list("unique-legion-cron"),
            list("unique-cron-legion"),
        ],
    ),
    family(
        elsewhere(Service, SERVICE),
        &[
            list("attach-daemon"),
            list("attach-daemon2"),
            list("smart-attach-daemon"),
            list("smart-attach-daemon2"),
            list("attach-control-daemon"),
            list("legion-attach-daemon"),
            list("legion-smart-attach-daemon"),
            list("legion-smart-attach-daemon2"),
        ],
    ),
    family(
        gone("use a task queue, such as Celery, RQ or Dramatiq, in a service of its own"),
        &[
            list("spooler").letter('Q'),
            list("spooler-external"),
            flag("spooler-ordered"),
            text("spooler-chdir"),
            int("spooler-processes"),
            flag("spooler-quiet"),
            int("spooler-max-tasks"),
            int("spooler-harakiri"),
            int("spooler-frequency"),
            int("spooler-freq"),
            list("touch-spoolers-reload"),
        ],
    ),
    family(
        gone("give it a service of its own, beside scoter: a program, and a queue for its work"),
        &[
            list("mule").optional(),
            list("mules"),
            list("farm"),
            int("mule-msg-size").optional(),
            int("mule-harakiri"),
            int("mule-reload-mercy"),
            list("touch-mules-reload"),
            list("hook-as-mule"),
        ],
    ),
    family(
        gone("run a timer of systemd, or @timer of uwsgidecorators with --uwsgi-module"),
        &[
            list("timer"),
            list("signal-timer"),
            list("rbtimer"),
            list("signal-rbtimer"),
        ],
    ),
    family(
        nothing("signals between workers need no buffer"),
        &[int("signal-bufsize"), int("signals-bufsize")],
    ),
    family(
        gone("use the task queue's or HTTP's own calls between services"),
        &[int("rpc-max"), text("signal")],
    ),
];
