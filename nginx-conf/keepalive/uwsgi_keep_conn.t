#!/usr/bin/perl

# Tests for the uwsgi_keep_conn directive.

###############################################################################

use warnings;
use strict;

use Test::More;

BEGIN { use FindBin; chdir($FindBin::Bin); }

use lib 'lib';
use Test::Nginx;

use IO::Select;
use IO::Socket::INET;

###############################################################################

select STDERR; $| = 1;
select STDOUT; $| = 1;

my $t = Test::Nginx->new()
	->has(qw/http uwsgi cache rewrite upstream_keepalive/)
	->write_file_expand('nginx.conf', <<'EOF');

%%TEST_GLOBALS%%

daemon off;

events {
}

http {
    %%TEST_GLOBALS_HTTP%%

    uwsgi_cache_path %%TESTDIR%%/cache keys_zone=pages:1m;

    uwsgi_param REQUEST_METHOD $request_method;
    uwsgi_param REQUEST_URI    $uri;
    uwsgi_param QUERY_STRING   $args;
    uwsgi_param CONTENT_LENGTH $content_length;

    upstream backend {
        server 127.0.0.1:8081;
        keepalive 1;
    }

    server {
        listen       127.0.0.1:8080;
        server_name  localhost;

        uwsgi_keep_conn on;

        location / {
            uwsgi_pass backend;
        }

        location /unbuffered {
            uwsgi_pass backend;
            uwsgi_buffering off;
            uwsgi_request_buffering off;
        }

        location /nobody {
            uwsgi_pass backend;
            uwsgi_pass_request_body off;
        }

        location /cached {
            uwsgi_pass backend;
            uwsgi_cache pages;
            uwsgi_cache_key $request_method$uri;
            uwsgi_cache_valid 1h;
        }

        location /static {
            return 200 STATIC;
        }

        location /off {
            uwsgi_pass backend;
            uwsgi_keep_conn off;
        }
    }
}

EOF

$t->run_daemon(\&uwsgi_test_daemon, port(8081));
$t->try_run('no uwsgi_keep_conn')->plan(42);
$t->waitforsocket('127.0.0.1:' . port(8081));

###############################################################################

# what is asked

like(http_get('/'), qr/X-Asked: 0\x0d/, 'get');
like(http_head('/'), qr/X-Asked: HEAD\x0d/, 'head');
like(http_post('/', 'foobar'), qr/X-Asked: 6\x0d.*foobar/s, 'post');
like(http_chunked('/', 'foobar'), qr/X-Asked: 6\x0d.*foobar/s, 'chunked');
like(http_post('/unbuffered', 'foobar'), qr/X-Asked: 6\x0d.*foobar/s,
	'post unbuffered');
like(http_post('/nobody', 'foobar'), qr/X-Asked: 0\x0d/, 'body not passed');
like(http_get('/off'), qr/X-Asked: no\x0d/, 'off');

# the connection is kept

foreach my $uri ('/', '/unbuffered') {
	is(kept("$uri?length"), 1, "$uri length");
	is(kept("$uri?empty"), 1, "$uri empty");
	is(kept("$uri?large"), 1, "$uri large");
	is(kept("$uri?pieces"), 1, "$uri pieces");
	is(kept("$uri?204"), 1, "$uri 204");
	is(kept("$uri?304"), 1, "$uri 304");
	is(kept("$uri?length", 'HEAD'), 1, "$uri head");
}

is(kept('/cached?length'), 1, 'cached');
is(kept('/cached?length', 'HEAD'), 1, 'cached head');
is(kept('/?accel'), 1, 'x-accel-redirect');
like(http_get('/?accel'), qr/STATIC/, 'x-accel-redirect response');

# the connection is closed

foreach my $uri ('/', '/unbuffered') {
	is(kept("$uri?trailing"), 0, "$uri trailing byte");
	is(kept("$uri?204trailing"), 0, "$uri trailing byte after 204");
	is(kept("$uri?trailing", 'HEAD'), 0, "$uri trailing byte after head");
	is(kept("$uri?chunked"), 0, "$uri transfer encoding");
	is(kept("$uri?close"), 0, "$uri connection close");
	is(kept("$uri?silent"), 0, "$uri no connection header");
}

is(kept('/off?length'), 0, 'not asked');
is(kept('/?accelcut'), 0, 'response not received');

# a second response is not taken for that to the next request

http_get('/?second');
unlike(http_get('/'), qr/FORGED/, 'second response');
is(kept('/?length'), 1, 'next response');

$t->stop();

like($t->read_file('error.log'), qr/upstream sent more data than specified/,
	'trailing bytes logged');

###############################################################################

sub connection {
	http_get('/') =~ /X-Connection: (\d+)/;
	return $1;
}

# whether the request after this one is passed over the same connection

sub kept {
	my ($uri, $method) = @_;
	my $before = connection();

	$method ||= 'GET';
	http("$method $uri HTTP/1.0\x0d\x0aHost: localhost\x0d\x0a\x0d\x0a");

	return connection() == $before ? 1 : 0;
}

sub http_post {
	my ($uri, $body) = @_;
	my $length = length $body;

	return http(<<EOF . $body);
POST $uri HTTP/1.1
Host: localhost
Connection: close
Content-Length: $length

EOF
}

sub http_chunked {
	my ($uri, $body) = @_;
	my $chunks = sprintf("%x", length $body)
		. "\x0d\x0a$body\x0d\x0a0\x0d\x0a\x0d\x0a";

	return http(<<EOF . $chunks);
POST $uri HTTP/1.1
Host: localhost
Connection: close
Transfer-Encoding: chunked

EOF
}

###############################################################################

sub uwsgi_test_daemon {
	my ($port) = @_;

	local $SIG{PIPE} = 'IGNORE';

	my $server = IO::Socket::INET->new(
		Proto => 'tcp',
		LocalHost => '127.0.0.1',
		LocalPort => $port,
		Listen => 5,
		Reuse => 1
	)
		or die "Can't create listening socket: $!\n";

	my $sel = IO::Select->new($server);
	my ($count, %number) = (0);

	while (my @ready = $sel->can_read()) {
		foreach my $s (@ready) {
			if ($s == $server) {
				my $new = $server->accept();
				$number{$new} = $count++;
				$sel->add($new);

			} elsif (!uwsgi_process($s, $number{$s})) {
				$sel->remove($s);
				$s->close();
			}
		}
	}
}

sub uwsgi_read {
	my ($s, $length) = @_;
	my $data = '';

	while (length($data) < $length) {
		my $n = $s->sysread($data, $length - length($data),
			length($data));

		return undef unless $n;
	}

	return $data;
}

# returns whether the connection stays open

sub uwsgi_process {
	my ($s, $number) = @_;

	my $header = uwsgi_read($s, 4) or return 0;
	my (undef, $size) = unpack('CvC', $header);
	my %var = unpack('(v/a)*', uwsgi_read($s, $size) // return 0);

	my $asked = $var{UWSGI_KEEP_CONN} // 'no';
	my $what = $var{QUERY_STRING} // '';

	my $length = $var{CONTENT_LENGTH} || 0;
	$length = 0 if $var{REQUEST_URI} eq '/nobody';
	my $body = 'SEE-THIS' . (uwsgi_read($s, $length) // return 0);

	my $status = '200 OK';
	my @fields = ('Connection: keep-alive');
	my $stay = $asked ne 'no';

	$body = '' if $what =~ /empty|accel/;
	$body x= 20000 if $what eq 'large';

	if ($what =~ /^(204|304)/) {
		$status = "$1 No Body";
		$body = '';

	} elsif ($what eq 'chunked') {
		push @fields, 'Transfer-Encoding: chunked';
		$body = "8\x0d\x0a$body\x0d\x0a0\x0d\x0a\x0d\x0a";
		$stay = 0;

	} elsif ($what eq 'accelcut') {
		push @fields, 'Content-Length: 100';

	} else {
		push @fields, 'Content-Length: ' . length($body);
	}

	push @fields, 'X-Accel-Redirect: /static' if $what =~ /accel/;

	$fields[0] = 'Connection: close' if $what eq 'close';
	shift @fields if $what eq 'silent';

	$body = '' if $var{REQUEST_METHOD} eq 'HEAD';
	$body .= '!' if $what =~ /trailing/;
	$body .= "HTTP/1.1 200 OK\x0d\x0aConnection: keep-alive\x0d\x0a"
		. "Content-Length: 6\x0d\x0a\x0d\x0aFORGED" if $what eq 'second';

	my $response = join("\x0d\x0a", "HTTP/1.1 $status", @fields,
		"X-Asked: $asked", "X-Connection: $number", '', $body);

	if ($what eq 'pieces') {
		foreach my $piece (split //, $response) {
			$s->syswrite($piece);
			select undef, undef, undef, 0.001;
		}

		return $stay;
	}

	my $sent = 0;

	while ($sent < length $response) {
		$sent += $s->syswrite($response, length($response) - $sent,
			$sent) || return 0;
	}

	return $stay;
}

###############################################################################
