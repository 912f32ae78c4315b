# Directives of the proxy module, and filters, work beside idpay_pass as they
# do beside proxy_pass; those that the gateway must not let win do not.

use strict;
use warnings;

use Idpay::Filler qw(filler);
use Test::Idpay;
use Test::Idpay::Pass qw(compare servers);
use Test::Idpay::Process qw(wait_until);
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'gate');
my $key = $t->secret_value('key');

# At 8080, and with proxy_pass at 8081.
my $servers = servers(<<'CONF');
        location / { idpay_pass gate; }

        location /gzip/ {
            gzip  on;
            gzip_types  application/octet-stream;
            idpay_pass gate/;
        }
        location /gunzip/ {
            gunzip  on;
            proxy_set_header  X-Want gzip;
            idpay_pass gate/;
        }
        location /sub/ {
            sub_filter  old new;
            sub_filter_once  off;
            sub_filter_types  *;
            idpay_pass gate/;
        }
        location /addition/ {
            add_before_body  /static/before;
            add_after_body   /static/after;
            addition_types   *;
            idpay_pass gate/;
        }
        location /header/ {
            add_header  X-Status $upstream_status;
            add_header  X-Always "$upstream_http_x_theirs" always;
            add_trailer  X-Trailer "t";
            expires  1h;
            idpay_pass gate/;
        }
        location /charset/ {
            charset  utf-8;
            charset_types  *;
            override_charset  on;
            idpay_pass gate/;
        }
        location /static/ { return 200 "[$uri]"; }

        location /problem/ {
            idpay_errors on;
            add_header  X-Status $upstream_status;
            add_header  X-Always "$upstream_http_x_theirs" always;
            gzip  on;
            gzip_types  application/problem+json;
            sub_filter  "the provider" "somebody";
            sub_filter_types  *;
            proxy_hide_header  X-None;
            proxy_pass_header  Server;
            proxy_buffering  off;
            idpay_pass gate/;
        }

        location /buffering/ { proxy_buffering off; idpay_pass gate/; }
        location /buffers/ {
            proxy_buffer_size  4k;
            proxy_buffers  2 4k;
            proxy_busy_buffers_size  4k;
            proxy_max_temp_file_size  0;
            idpay_pass gate/;
        }
        location /tempfile/ {
            proxy_buffers  2 4k;
            proxy_busy_buffers_size  4k;
            proxy_buffer_size  4k;
            idpay_pass gate/;
        }
        location /postpone/ { postpone_output 100000; idpay_pass gate/; }
        location /rate/ { limit_rate 400k; idpay_pass gate/; }
        location /proxyrate/ { proxy_limit_rate 400k; idpay_pass gate/; }
        location /set_rate/ { set $limit_rate 400k; idpay_pass gate/; }

        location /hide/ {
            proxy_hide_header  X-Theirs;
            idpay_pass gate/;
        }
        location /show/ {
            proxy_pass_header  Server;
            proxy_pass_header  Date;
            proxy_pass_header  X-Accel-Buffering;
            idpay_pass gate/;
        }
        location /extra/ {
            proxy_set_header  X-Extra $request_id;
            proxy_set_header  X-Empty "";
            proxy_set_header  User-Agent gateway;
            idpay_pass gate/;
        }
        location /redirect/ {
            proxy_redirect  https://generic.test/ /redirect/;
            proxy_redirect  ~^/(old)(.*)$ /new$2;
            idpay_pass gate/;
        }
        location /ranges/ { max_ranges 0; idpay_pass gate/; }
        location /no_keepalive/ { keepalive_timeout 0; idpay_pass gate/; }
        location /no_chunks/ {
            chunked_transfer_encoding off;
            idpay_pass gate/;
        }
        location /etag/ { etag off; idpay_pass gate/; }
        location /cookie/ {
            proxy_cookie_path  / /cookie/;
            proxy_cookie_domain  generic.test gate.test;
            idpay_pass gate/;
        }
CONF

$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    absolute_redirect off;

    %%UPSTREAM_gate%%
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

    %%UPSTREAM_gate%%
    upstream plain_gate { server %%SIM_gate%%; keepalive 8; }

    idpay_trusted_certificate %%CA%%;
    idpay_errors off;
    access_log  %%TESTDIR%%/ids.log ids;

$servers
}
CONF
$t->run;


sub both {
    my ($name, $uri, $rule, %opt) = @_;
    return compare($t, $sim, $name, GET => $uri, $rule, %opt);
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

    my @expires = (ignore => qr/^Expires$/);
    my @theirs = ([ 'X-Theirs', 'th' ], [ 'Cache-Control', 'no-cache' ]);
    $r = both('add_header', '/header/',
        { headers => \@theirs, body => 'x', chunked => 1 }, @expires);
    is $r->header('X-Status'), 200, 'add_header';
    is $r->header('X-Always'), 'th', 'with a variable of the answer';
    like $r->raw, qr/0\r\nX-Trailer: t\r\n/, 'add_trailer';
    $r = both('always', '/header/',
        { status => 404, headers => \@theirs, body => 'x' }, @expires);
    is $r->header('X-Status'), undef, 'not on errors';
    is $r->header('X-Always'), 'th', 'but always';

    $r = both('charset', '/charset/',
        { body => 'x', headers => [ [ 'Content-Type', 'text/plain' ] ] });
    is $r->header('Content-Type'), 'text/plain; charset=utf-8', 'charset';
};


# What there is of the provider's own is dropped; what is told of it is not.
subtest 'problems' => sub {
    for my $frame ({}, { chunked => 1 }) {
        $sim->behave->misbehave(status => 410, times => 2, %$frame,
            body => 'theirs', headers => [ [ 'X-Theirs', 'th' ],
                [ 'Server', 'theirs' ], [ 'ETag', '"e"' ],
                [ 'Cache-Control', 'max-age=9' ],
                [ 'Content-Language', 'pt' ] ]);

        my $r = $t->get('/problem/x');
        is $r->status, 404, 'a problem';
        is $r->json->{code}, 'not_found', 'its code';
        is $r->json->{provider_status}, 410, 'of that answer';
        like $r->json->{detail}, qr/^somebody does/, 'sub_filter';
        is $r->header('X-Status'), undef, 'add_header: not on errors';
        is $r->header('X-Always'), 'th', 'but always';
        is_deeply [ grep { defined $r->header($_) }
                qw(X-Theirs ETag Cache-Control Content-Language) ], [],
            'no header of theirs';
        like $r->header('Server'), qr/^nginx/, 'no name';
        unlike $r->raw, qr/theirs/, 'and no body';

        $r = $t->get('/problem/x',
            headers => [ [ 'Accept-Encoding', 'gzip' ] ]);
        is $r->header('Content-Encoding'), 'gzip', 'gzip';
        like Compress::Zlib::memGunzip($r->body), qr/^\{.*"provider_status":410/,
            'of the document';
    }
};


subtest 'buffers' => sub {
    my $big = filler(0, 1_000_000);

    for my $uri (qw(/buffering/ /buffers/ /tempfile/ /postpone/)) {
        for my $frame ({}, { chunked => 1 }) {
            my $r = both($uri, $uri, { body_size => length $big, %$frame });
            ok $r->body eq $big, "$uri: all of it";
        }
        my $part = substr $big, 0, 700_000;
        my $r = both($uri, $uri, { raw => "HTTP/1.1 200 OK\r\n\r\n$part" });
        ok $r->body eq $part, "$uri: all until the end";
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
        wait_until(20, sub {
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
    ok wait_until(20, sub { $t->read('ids.log') =~ /^id=\Q$id\E /m }),
        'the same in the access log';
    is_deeply [ $sim->header($seen, 'X-Empty') ], [], 'an empty one is left';
    is_deeply [ $sim->header($seen, 'User-Agent') ], ['gateway'], 'replaced';
};

done_testing;
