//! Advice that several families of options share.

pub(super) const EMPEROR: &str = "a template unit of systemd, scoter@.service, has an instance for \
     each server: systemctl enable --now scoter@NAME; move each file of the emperor by itself";
pub(super) const HTTP: &str = "bind a socket for nginx's uwsgi_pass; for development, scoter dev APP \
     speaks HTTP itself";
pub(super) const HTTP_MODIFIERS: &str =
    "there are no modifiers: every request goes to the application";
pub(super) const PROMETHEUS: &str =
    "let Prometheus, or an agent that reads its format, collect what metrics serves";
pub(super) const ROUTE: &str = "use a location or a map of nginx; for donotlog, access-log-skip";
pub(super) const SERVICE: &str = "give it a service of its own, beside scoter";
pub(super) const STATIC: &str = "let nginx serve files, as nginx-conf/site.conf does";
pub(super) const TIMER: &str = "use a timer of systemd, or cron";
pub(super) const TLS: &str = "nginx speaks TLS: set ssl_certificate and ssl_certificate_key there";
