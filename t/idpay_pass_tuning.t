# Directives of the proxy module, and filters, work beside idpay_pass as they
# do beside proxy_pass; those that the gateway must not let win do not.

use strict;
use warnings;

use Idpay::Filler qw(filler);
use Test::Idpay;
use Test::Idpay::Process qw(wait_until);
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic');
my $key = $t->secret_value('key');

# The same locations twice; PASS is idpay_pass or proxy_pass.
my $locations = <<'CONF';
        location / { PASS; }

        location /gzip/ {
            gzip  on;
            gzip_types  application/octet-stream;
            PASS/;
        }
        location /gunzip/ {
            gunzip  on;
            proxy_set_header  X-Want gzip;
            PASS/;
        }
        location /sub/ {
            sub_filter  old new;
            sub_filter_once  off;
            sub_filter_types  *;
            PASS/;
        }
        location /addition/ {
            add_before_body  /static/before;
            add_after_body   /static/after;
            addition_types   *;
            PASS/;
        }
        location /header/ {
            add_header  X-Status $upstream_status;
            add_header  X-Always "$upstream_http_x_theirs" always;
            add_trailer  X-Trailer "t";
            expires  1h;
            PASS/;
        }
        location /charset/ {
            charset  utf-8;
            charset_types  *;
            override_charset  on;
            PASS/;
        }
        location /static/ { return 200 "[$uri]"; }

        location /buffering/ { proxy_buffering off; PASS/; }
        location /buffers/ {
            proxy_buffer_size  4k;
            proxy_buffers  2 4k;
            proxy_busy_buffers_size  4k;
            proxy_max_temp_file_size  0;
            PASS/;
        }
        location /tempfile/ {
            proxy_buffers  2 4k;
            proxy_busy_buffers_size  4k;
            proxy_buffer_size  4k;
            PASS/;
        }
        location /postpone/ { postpone_output 100000; PASS/; }
        location /rate/ { limit_rate 400k; PASS/; }
        location /proxyrate/ { proxy_limit_rate 400k; PASS/; }
        location /set_rate/ { set $limit_rate 400k; PASS/; }

        location /hide/ {
            proxy_hide_header  X-Theirs;
            PASS/;
        }
        location /show/ {
            proxy_pass_header  Server;
            proxy_pass_header  Date;
            proxy_pass_header  X-Accel-Buffering;
            PASS/;
        }
        location /extra/ {
            proxy_set_header  X-Extra $request_id;
            proxy_set_header  X-Empty "";
            proxy_set_header  User-Agent gateway;
            PASS/;
        }
        location /method/ { proxy_method PUT; PASS/; }
        location /redirect/ {
            proxy_redirect  https://generic.test/ /redirect/;
            proxy_redirect  ~^/(old)(.*)$ /new$2;
            PASS/;
        }
        location /ranges/ { max_ranges 0; PASS/; }
        location /no_keepalive/ { keepalive_timeout 0; PASS/; }
        location /no_chunks/ { chunked_transfer_encoding off; PASS/; }
        location /etag/ { etag off; PASS/; }
        location /cookie/ {
            proxy_cookie_path  / /cookie/;
            proxy_cookie_domain  generic.test gate.test;
            PASS/;
        }
CONF

sub locations {
    my ($pass, $settings) = @_;

    $settings =~ s/^/            /gm;
    return $locations =~ s/PASS(\S*);/$pass$1;\n$settings\n/gr;
}

my $idpay = locations('idpay_pass gate',        '');
my $plain = locations('proxy_pass https://plain', <<'CONF');
proxy_http_version 1.1;
proxy_set_header Host generic.test;
proxy_set_header Connection "";
proxy_set_header Accept-Encoding "";
proxy_ssl_verify on;
proxy_ssl_name generic.test;
proxy_ssl_server_name on;
proxy_ssl_trusted_certificate %%CA%%;
CONF

$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    absolute_redirect off;

    upstream gate {
        server          %%SIM_generic%%;
        keepalive       8;
        idpay_provider  generic;
        idpay_auth      header X-Key;
        idpay_secret    key file:%%SECRET_key%%;
        idpay_host      generic.test;
    }

    upstream plain {
        server     %%SIM_generic%%;
        keepalive  8;
    }

    idpay_trusted_certificate %%CA%%;

    # nothing of this may win over the gateway
    proxy_set_header  Host           wrong.test;
    proxy_set_header  Connection     close;
    proxy_set_header  Authorization  "Basic d3Jvbmc6d3Jvbmc=";
    proxy_set_header  X-Key          wrong;
    proxy_set_header  X-Inherited    yes;
    proxy_http_version  1.0;
    proxy_pass_request_headers  off;
    proxy_ssl_verify  off;
    proxy_ssl_name    wrong.test;
    proxy_next_upstream  error timeout http_500 non_idempotent;

    server {
        listen 127.0.0.1:%%PORT_8082%%;
        location / {
            idpay_pass gate;
        }
    }
}
CONF
$t->run;

subtest 'inherited' => sub {
    is $t->get('/', port => 8082, headers => [ [ 'X-Mine', 1 ] ])->status, 200,
        'a call';
    my $seen = $sim->last_request;
    my $is   = sub {
        my ($name, @values) = @_;
        is_deeply [ $sim->header($seen, $name) ], \@values,
            join ' ', $name, @values;
    };

    like $seen->{raw}, qr{^GET / HTTP/1\.1\r\n}, 'HTTP/1.1';
    $is->('Host', 'generic.test');
    $is->('Connection');
    $is->('Authorization');
    $is->('X-Key', $key);
    $is->('X-Inherited', 'yes');
    $is->('X-Mine', 1);
};

$t->quit;

$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    absolute_redirect off;
    log_format ids 'id=\$request_id \$uri \$request_time';

    upstream gate {
        server          %%SIM_generic%%;
        keepalive       8;
        idpay_provider  generic;
        idpay_auth      header X-Key;
        idpay_secret    key file:%%SECRET_key%%;
        idpay_host      generic.test;
    }

    upstream plain {
        server     %%SIM_generic%%;
        keepalive  8;
    }

    idpay_trusted_certificate %%CA%%;
    access_log  %%TESTDIR%%/ids.log ids;

    server {
        listen 127.0.0.1:%%PORT_8080%%;
$idpay
    }

    server {
        listen 127.0.0.1:%%PORT_8081%%;
$plain
    }
}
CONF
$t->run;


sub seen {
    my $r = shift;

    return {
        status   => $r->status,
        headers  => [ grep { $_->[0] ne 'Date' && $_->[0] ne 'Expires' }
                $r->headers ],
        body     => $r->body,
        complete => $r->complete,
        trailer  => $r->raw =~ /\r\n0\r\n(.*)\z/s ? $1 : undef,
    };
}


sub both {
    my ($name, $uri, $rule, %opt) = @_;

    $sim->behave;
    $sim->misbehave(%$rule, times => 2) if $rule;

    my ($ours, $theirs)
        = map { $t->get($uri, %opt, port => $_) } 8080, 8081;
    is_deeply seen($ours), seen($theirs), "$name: as with proxy_pass";

    return $ours;
}


subtest 'filters' => sub {
    my @gzip = (headers => [ [ 'Accept-Encoding', 'gzip' ] ]);

    my $r = both('gzip', '/gzip/__bytes/100000', undef, @gzip);
    is $r->header('Content-Encoding'), 'gzip', 'gzip';
    both('gzip, HEAD or not', '/gzip/', { status => 404, body => 'x' x 100 },
        @gzip);

    require Compress::Zlib;
    my %packed = (
        body    => Compress::Zlib::memGzip('unpacked ' x 50_000),
        headers => [ [ 'Content-Encoding', 'gzip' ] ],
    );
    $r = both('gunzip', '/gunzip/', \%packed);
    is $r->body, 'unpacked ' x 50_000, 'gunzip';
    $r = both('gunzip', '/gunzip/', \%packed, @gzip);
    is $r->body, $packed{body}, 'left to who asks for it';

    my $text = 'an old thing, ' x 30_000;
    $r = both('sub_filter', '/sub/', { body => $text });
    is $r->body, $text =~ s/old/new/gr, 'sub_filter';
    $r = both('sub_filter, chunked', '/sub/', { body => $text, chunked => 1 });
    is $r->body, $text =~ s/old/new/gr, 'sub_filter, chunked';

    # the answers around it are subrequests
    $r = both('addition', '/addition/', { body => $text });
    is $r->body, "[/static/before]${text}[/static/after]", 'addition';

    my @theirs = ([ 'X-Theirs', 'th' ], [ 'Cache-Control', 'no-cache' ]);
    $r = both('add_header', '/header/',
        { headers => \@theirs, body => 'x', chunked => 1 });
    is $r->header('X-Status'), 200, 'add_header';
    is $r->header('X-Always'), 'th', 'with a variable of the answer';
    like $r->raw, qr/0\r\nX-Trailer: t\r\n/, 'add_trailer';
    $r = both('always', '/header/',
        { status => 404, headers => \@theirs, body => 'x' });
    is $r->header('X-Status'), undef, 'not on errors';
    is $r->header('X-Always'), 'th', 'but always';

    $r = both('charset', '/charset/',
        { body => 'x', headers => [ [ 'Content-Type', 'text/plain' ] ] });
    is $r->header('Content-Type'), 'text/plain; charset=utf-8', 'charset';
};


subtest 'buffers' => sub {
    my $big = filler(0, 1_000_000);

    for my $uri (qw(/buffering/ /buffers/ /tempfile/ /postpone/)) {
        for my $frame ({}, { chunked => 1 }) {
            my $r = both($uri, $uri, { body_size => length $big, %$frame });
            ok $r->body eq $big, "$uri: all of it";
        }
        both($uri, $uri, { raw => "HTTP/1.1 200 OK\r\n\r\n$big" });
    }
    is both('HTTP/1.0', '/no_chunks/', { body => 'abc', chunked => 1 })->body,
        'abc', 'chunked_transfer_encoding off';

    # as soon as it comes: the rest is held back until the first is seen
    my $first;
    $sim->behave->misbehave(endless => 1);
    eval {
        $t->get('/buffering/', sink => sub { $first = 1; die "seen\n" });
    };
    ok $first, 'proxy_buffering off does not wait for the end';
};


subtest 'rates' => sub {
    for my $uri (qw(/rate/ /proxyrate/ /set_rate/)) {
        my $r = both($uri, "${uri}__bytes/400000");
        is $r->length, 400_000, "$uri: all of it";

        my $took;
        wait_until(5, sub {
            ($took) = $t->read('ids.log') =~ m{ \Q$uri\E\S+ ([\d.]+)\n};
        });
        cmp_ok $took, '>', 0.4, "$uri: a second, if anything is held back";
    }
};


subtest 'headers of the answer' => sub {
    my %theirs = (body => 'x', headers => [ [ 'X-Theirs', 1 ],
        [ 'Server', 'theirs' ], [ 'X-Accel-Buffering', 'yes' ] ]);

    is both('hide', '/hide/', \%theirs)->header('X-Theirs'), undef,
        'proxy_hide_header';
    my $r = both('pass', '/show/', \%theirs);
    is $r->header('Server'), 'theirs', 'proxy_pass_header';
    is $r->header('X-Accel-Buffering'), 'yes', 'and one of nginx';

    for my $to (qw(https://generic.test/a /old/b /elsewhere)) {
        both("to $to", '/redirect/',
            { status => 302, headers => [ [ Location => $to ] ], body => '' });
    }
    is both('refresh', '/redirect/', { body => '', headers =>
                [ [ Refresh => '3; url=https://generic.test/a' ] ] })
        ->header('Refresh'), '3; url=/redirect/a', 'proxy_redirect';

    $sim->behave->misbehave(body => 'x', headers =>
            [ [ 'Set-Cookie', 'a=b; path=/; domain=generic.test' ] ]);
    is $t->get('/cookie/')->header('Set-Cookie'), undef,
        'proxy_cookie_path lets no cookie through';

    both('ranges', '/ranges/__bytes/1000', undef,
        headers => [ [ Range => 'bytes=1-2' ] ]);
    both('no keep-alive', '/no_keepalive/');
    both('etag', '/etag/__bytes/10');
};


subtest 'headers of the request' => sub {
    $sim->behave->clear;
    $t->get('/extra/', headers => [ [ 'X-Empty', 1 ], [ 'User-Agent', 'u' ] ]);

    my $seen = $sim->last_request;
    my ($id) = $sim->header($seen, 'X-Extra');
    like $id, qr/^[0-9a-f]{32}$/, '$request_id';
    ok wait_until(5, sub { $t->read('ids.log') =~ /^id=\Q$id\E /m }),
        'the same in the access log';
    is_deeply [ $sim->header($seen, 'X-Empty') ], [], 'an empty one is left';
    is_deeply [ $sim->header($seen, 'User-Agent') ], ['gateway'], 'replaced';

    is $t->get('/method/')->json->{method}, 'PUT', 'proxy_method';
};

done_testing;
