
/*
 * Lets nginx keep connections to a uwsgi server that agrees to it.  The
 * protocol and the reasons for each condition: KEEPALIVE.md of uwsgi-codec.
 */


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


static ngx_int_t ngx_http_uwsgi_keep_conn_add_variable(ngx_conf_t *cf);
static ngx_int_t ngx_http_uwsgi_keep_conn_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static off_t ngx_http_uwsgi_keep_conn_body_length(ngx_http_request_t *r);
static void ngx_http_uwsgi_keep_conn_watch(ngx_http_upstream_t *u);
static ngx_int_t ngx_http_uwsgi_keep_conn_input_filter_init(void *data);
static void ngx_http_uwsgi_keep_conn_finalize_request(ngx_http_request_t *r,
    ngx_int_t rc);
static ngx_uint_t ngx_http_uwsgi_keep_conn_agreed(ngx_http_upstream_t *u);
static ngx_uint_t ngx_http_uwsgi_keep_conn_complete(ngx_http_request_t *r);
static off_t ngx_http_uwsgi_keep_conn_received(ngx_http_request_t *r);


extern ngx_module_t  ngx_http_uwsgi_module;


static ngx_http_module_t  ngx_http_uwsgi_keep_conn_module_ctx = {
    ngx_http_uwsgi_keep_conn_add_variable, /* preconfiguration */
    NULL,                                  /* postconfiguration */

    NULL,                                  /* create main configuration */
    NULL,                                  /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    NULL,                                  /* create location configuration */
    NULL                                   /* merge location configuration */
};


ngx_module_t  ngx_http_uwsgi_keep_conn_module = {
    NGX_MODULE_V1,
    &ngx_http_uwsgi_keep_conn_module_ctx,  /* module context */
    NULL,                                  /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    NULL,                                  /* init module */
    NULL,                                  /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static ngx_str_t  ngx_http_uwsgi_keep_conn_name =
    ngx_string("uwsgi_keep_conn");


/*
 * Those of the uwsgi module, which are the same for each request.  A context
 * of the request could not hold them: ngx_http_filter_finalize_request()
 * clears all contexts before the upstream is finalized.
 */

static ngx_int_t  (*ngx_http_uwsgi_keep_conn_next_init)(void *data);
static void       (*ngx_http_uwsgi_keep_conn_next_finalize)(
    ngx_http_request_t *r, ngx_int_t rc);


static ngx_int_t
ngx_http_uwsgi_keep_conn_add_variable(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var;

    /* of a request and its subrequests each one asks for itself */

    var = ngx_http_add_variable(cf, &ngx_http_uwsgi_keep_conn_name,
                                NGX_HTTP_VAR_NOCACHEABLE);
    if (var == NULL) {
        return NGX_ERROR;
    }

    var->get_handler = ngx_http_uwsgi_keep_conn_variable;

    return NGX_OK;
}


/*
 * The value of UWSGI_KEEP_CONN.  The uwsgi module evaluates it when it
 * creates the request, and that is when the request becomes one that asks.
 */

static ngx_int_t
ngx_http_uwsgi_keep_conn_variable(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    off_t                 length;
    u_char               *p;
    ngx_http_upstream_t  *u;

    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = 0;
    v->len = 0;
    v->data = (u_char *) "";

    u = r->upstream;

    if (u == NULL || u->output.tag != (ngx_buf_tag_t) &ngx_http_uwsgi_module) {
        return NGX_OK;
    }

    length = ngx_http_uwsgi_keep_conn_body_length(r);

    if (length < 0 || (length > 0 && r->method == NGX_HTTP_HEAD)) {
        return NGX_OK;
    }

    ngx_http_uwsgi_keep_conn_watch(u);

    if (r->method == NGX_HTTP_HEAD) {
        v->len = sizeof("HEAD") - 1;
        v->data = (u_char *) "HEAD";
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, NGX_OFF_T_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    v->len = ngx_sprintf(p, "%O", length) - p;
    v->data = p;

    return NGX_OK;
}


/* how many bytes the uwsgi module is going to send behind the packet */

static off_t
ngx_http_uwsgi_keep_conn_body_length(ngx_http_request_t *r)
{
    off_t         length;
    ngx_chain_t  *cl;

    if (r->request_body_no_buffering) {
        return r->headers_in.content_length_n;
    }

    if (r->request_body == NULL || !r->upstream->conf->pass_request_body) {
        return 0;
    }

    length = 0;

    for (cl = r->request_body->bufs; cl; cl = cl->next) {
        length += ngx_buf_size(cl->buf);
    }

    return length;
}


static void
ngx_http_uwsgi_keep_conn_watch(ngx_http_upstream_t *u)
{
    if (u->finalize_request == ngx_http_uwsgi_keep_conn_finalize_request) {
        return;
    }

    if (ngx_http_uwsgi_keep_conn_next_finalize == NULL) {
        ngx_http_uwsgi_keep_conn_next_init = u->input_filter_init;
        ngx_http_uwsgi_keep_conn_next_finalize = u->finalize_request;
    }

    u->input_filter_init = ngx_http_uwsgi_keep_conn_input_filter_init;
    u->finalize_request = ngx_http_uwsgi_keep_conn_finalize_request;
}


/*
 * The uwsgi module reads the response to HEAD until the server closes.
 * A server that has agreed does not: the response ends with its head.
 */

static ngx_int_t
ngx_http_uwsgi_keep_conn_input_filter_init(void *data)
{
    ngx_http_request_t  *r = data;

    ngx_int_t             rc;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    rc = ngx_http_uwsgi_keep_conn_next_init(data);

    if (rc == NGX_OK
        && r->method == NGX_HTTP_HEAD
        && ngx_http_uwsgi_keep_conn_agreed(u))
    {
        u->pipe->length = 0;
        u->length = 0;
    }

    return rc;
}


/*
 * Called when nginx is done with the response, for whatever reason, and
 * before it decides what becomes of the connection.
 */

static void
ngx_http_uwsgi_keep_conn_finalize_request(ngx_http_request_t *r, ngx_int_t rc)
{
    ngx_http_upstream_t  *u;

    u = r->upstream;

    ngx_http_uwsgi_keep_conn_next_finalize(r, rc);

    u->keepalive = rc != NGX_ERROR
                   && ngx_http_uwsgi_keep_conn_agreed(u)
                   && ngx_http_uwsgi_keep_conn_complete(r);

    ngx_log_debug1(NGX_LOG_DEBUG_HTTP, r->connection->log, 0,
                   "http uwsgi keep conn: %d", u->keepalive);
}


static ngx_uint_t
ngx_http_uwsgi_keep_conn_agreed(ngx_http_upstream_t *u)
{
    ngx_table_elt_t  *h;

    h = u->headers_in.connection;

    return h != NULL
           && h->value.len == sizeof("keep-alive") - 1
           && ngx_strncasecmp(h->value.data, (u_char *) "keep-alive",
                              sizeof("keep-alive") - 1)
              == 0
           && !u->headers_in.connection_close
           && u->headers_in.transfer_encoding == NULL;
}


/* whether exactly the announced response was received, and nothing else */

static ngx_uint_t
ngx_http_uwsgi_keep_conn_complete(ngx_http_request_t *r)
{
    off_t                 length;
    ngx_http_upstream_t  *u;

    u = r->upstream;

    if (u->peer.connection == NULL || !u->request_body_sent) {
        return 0;
    }

    /* the end of the head was not reached */

    if (u->state->header_time == (ngx_msec_t) -1) {
        return 0;
    }

#if (NGX_HTTP_CACHE)

    /* u->headers_in and u->buffer are those of the cached response */

    if (r->cached) {
        return 0;
    }

#endif

    if (u->headers_in.status_n < NGX_HTTP_OK) {
        return 0;
    }

    if (r->method == NGX_HTTP_HEAD
        || u->headers_in.status_n == NGX_HTTP_NO_CONTENT
        || u->headers_in.status_n == NGX_HTTP_NOT_MODIFIED)
    {
        length = 0;

    } else {
        length = u->headers_in.content_length_n;
    }

    /* an unknown length, which is -1, is never equal */

    return ngx_http_uwsgi_keep_conn_received(r) == length;
}


/* how much was received behind the head */

static off_t
ngx_http_uwsgi_keep_conn_received(ngx_http_request_t *r)
{
    ngx_event_pipe_t     *p;
    ngx_http_upstream_t  *u;

    u = r->upstream;
    p = u->pipe;

    if (p->upstream) {
        /* until the pipe is run, read_length lacks what came with the head */
        return ngx_max(p->read_length, (off_t) p->preread_size);
    }

    if (u->header_sent && !u->buffering && !r->header_only) {
        return u->state->response_length;
    }

    /* the body was not wanted, what came with the head is in the buffer */

    return u->buffer.last - u->buffer.pos;
}
