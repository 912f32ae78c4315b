#!/usr/bin/env perl

# An error that a provider sends with a status 2xx is a problem. Every other
# answer with such a status passes as with plain proxy_pass, to the byte.

use strict;
use warnings;

use Compress::Zlib qw(memGzip);
use Digest::MD5    qw(md5_hex);
use Idpay::Filler  qw(filler);
use IO::Select;
use Mojo::JSON qw(decode_json encode_json false true);
use Test::Idpay;
use Test::Idpay::Pass qw(compare servers);
use Test::Idpay::Process qw(wait_until);
use Test::Idpay::Translation qw(is_problem);
use Test::More;

my $quiet = "idpay_rate off; idpay_adaptive off; idpay_breaker off;\n"
    . '        idpay_retry off;';

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'gate', limits => "$quiet\n"
        . '        idpay_error_fields code=/code message=/message '
        . 'status=/code result=/id;');
my $data = $t->sim('generic', name => 'data', tls => 0, limits => "$quiet\n"
        . '        idpay_error_fields status=/code result=/data;');
my $plasma = $t->sim('plasmapay', tls => 0);
my $key    = $t->secret('plasmapay_api_key');

# At 8080, and with proxy_pass at 8081.
my $servers = servers(<<'CONF');
        location / { idpay_pass gate/; }

        location /unbuffered/ {
            proxy_buffering off;
            idpay_pass gate/;
        }
CONF

$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%

    log_format echo 'echo <\$upstream_http_x_echo> <\$upstream_http_etag> '
                    '<\$upstream_http_content_language> '
                    '<\$upstream_http_retry_after>';

    %%UPSTREAM_gate%%
    upstream plain_gate { server %%SIM_gate%%; keepalive 8; }
    %%UPSTREAM_data%%
    %%UPSTREAM_plasmapay%%

    upstream off {
        server          %%SIM_plasmapay%%;
        idpay_provider  plasmapay;
        idpay_tls       off;
        idpay_host      plasmapay.test;
        idpay_secret    api_key file:$key;
        idpay_error_fields status=off;
        %%UNLIMITED%%
    }

    idpay_trusted_certificate %%CA%%;

$servers

    server {
        listen 127.0.0.1:%%PORT_8082%%;
        listen 127.0.0.1:%%PORT_8083%% http2;

        location / { idpay_pass gate/; }

        location /plasma/ { idpay_pass plasmapay/; }
        location /status_off/ { idpay_pass off/; }
        location /errors_off/ {
            idpay_errors off;
            idpay_pass plasmapay/;
        }
        location /short/ {
            idpay_timeout 300ms;
            idpay_pass gate/;
        }
        location /data/ { idpay_pass data/; }

        location /read/ {
            proxy_read_timeout 400ms;
            idpay_pass gate/;
        }
        location /read/unbuffered/ {
            proxy_read_timeout 400ms;
            proxy_buffering off;
            idpay_pass gate/;
        }

        location /logged/ {
            access_log %%TESTDIR%%/echo.log echo;
            idpay_pass gate/;
        }

        location = /asking/ {
            auth_request /asked/;
            try_files /none \@allowed;
        }
        location = /asking/unbuffered/ {
            auth_request /asked/unbuffered/;
            try_files /none \@allowed;
        }

        # longer than any test waits
        location /asked/ {
            idpay_timeout 60s;
            idpay_pass gate/;
        }
        location /asked/unbuffered/ {
            idpay_timeout 60s;
            proxy_buffering off;
            idpay_pass gate/;
        }
        location \@allowed { return 200 "allowed"; }
        location = /own { return 200 "own"; }
    }
}
CONF

$t->run;

my @json   = ([ 'Content-Type', 'application/json' ]);
my @places = qw(/ /unbuffered/);


sub both { return compare($t, $sim, @_) }


# The connections to the provider that are kept, ours and proxy_pass's.
sub disconnect {
    for my $port (8080, 8081) {
        $sim->behave->misbehave(close => 'after_answer');
        $t->get('/', port => $port);
    }
    return wait_until(20, sub { $sim->open_connections == 0 });
}


# What makes an error: the code in the body, and how the call has ended.
my %errors = (
    400 => [ invalid_request      => 400 ],
    401 => [ credential_rejected  => 502 ],
    404 => [ not_found            => 404 ],
    405 => [ invalid_request      => 405 ],
    422 => [ validation_failed    => 422 ],
    429 => [ rate_limited         => 429 ],
    500 => [ provider_error       => 502 ],
    503 => [ provider_unavailable => 503 ],
    599 => [ provider_error       => 502 ],
);

subtest 'errors' => sub {
    my $n = 0;
    for my $place (@places) {
        for my $said (sort keys %errors) {
            my ($code, $status) = @{ $errors{$said} };

            for my $body (
                qq({"code":$said,"message":"m"}),
                qq({"message":"m","code":"$said"}),
                qq({"code":"$said","message":"m","id":null}),
                qq( {"code":"$said","message":"m","id":""} ),
                )
            {
                my $http = (200, 201, 202, 299)[ $n++ % 4 ];
                $sim->misbehave(status => $http, body => $body,
                    headers => \@json, $said % 2 ? (chunked => 1) : ());
                is_problem($t->post($place, 'abc'), "$place $http $body",
                    $status, $code, attempts => 1,
                    provider_status => $http, provider_code => $said,
                    outcome => $said >= 500 ? 'unknown' : 'not_applied');
            }
        }
    }
    $t->expect_log(qr/"gate" refused the gateway's credential with status 200/,
        'a refused credential is logged');

    $sim->behave->misbehave(headers => \@json, body => '{"code":500}');
    is_problem($t->get('/'), 'a call that is safe', 502, 'provider_error',
        outcome => 'not_applied', retryable => true);

    $sim->misbehave(headers => [ @json, [ 'Retry-After', 7 ], [ 'X-A', 1 ] ],
        body => '{"code":429}');
    my $r = $t->get('/');
    is_problem($r, 'Retry-After', 429, 'rate_limited', retry_after => 7);
    is $r->header('X-A'), undef, 'nothing else of the header';
};

subtest 'types of JSON' => sub {
    my $body = '{"code":422}';

    for my $type ('application/json', 'application/json; charset=utf-8',
        'application/json;charset=UTF-8', 'Application/JSON',
        'application/vnd.api+json', 'application/problem+json', 'text/json')
    {
        $sim->behave->misbehave(body => $body,
            headers => [ [ 'Content-Type', $type ] ]);
        is_problem($t->get('/'), $type, 422, 'validation_failed');
    }
    for my $type ('text/html', 'text/plain; charset=utf-8', 'application/xml',
        'application/jsonp', 'application/x-json', 'json', '/json x',
        'application/json-seq')
    {
        both($type, GET => '/', {
            body    => $body,
            headers => [ [ 'Content-Type', $type ] ],
        });
    }
    both('no type', GET => '/',
        { raw => "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n$body" });
};

# nginx leaves all parameters but "charset" in the type
{
    for my $type ('application/json; version=1', 'application/json ; a=b',
        'application/json ; charset=utf-8', 'application/json;')
    {
        $sim->behave->misbehave(body => '{"code":422}',
            headers => [ [ 'Content-Type', $type ] ]);
        is $t->get('/')->json->{type}, 'urn:idpay:problem:validation_failed',
            $type;
    }
}


subtest 'what is no error' => sub {
    my $n = 0;
    for my $body (
        (map {qq({"code":$_})} 200, 399, 600, -422, '422.0', '4.22e2', 'true',
            'null', '"x"', '"422x"', '" 422"', '{"code":422}', '[422]', '""',
            '99999999999999999999422'),
        (map {qq({"code":422,"id":$_})} '"i"', '7', '0'),
        '{"Code":422}', '{"error":{"code":422}}', '[{"code":422}]', '422',
        '"422"', '{"code":422', '{"code":422}}', '', ' ', 'null', '{}',
        "{\"code\":422}\0", '{"code":422,"a":' . '[' x 1000 . ']' x 1000 . '}',
        )
    {
        my $place = $places[ $n++ % 2 ];
        my %rule = (body => $body, headers => \@json);
        my $name = substr $body, 0, 40;
        both("$place $name", POST => $place, \%rule, body => 'abc');
        both("$place $name, chunked", GET => $place, { %rule, chunked => 1 });
    }
    for my $status (301, 304, 399) {
        both("a $status", GET => '/', { status => $status,
            body => $status == 304 ? '' : '{"code":422}', headers => \@json });
    }
};


subtest 'sizes and framings' => sub {
    my $id = '{"id":"i","code":500,"a":"';

    for my $place (@places) {
        for my $size (1, 5000, 65_535 .. 65_537, 131_073) {
            my $text = $size == 1 ? '1' : $id . '"}';
            substr $text, -2, 0, 'x' x ($size - length $text) if $size > 1;
            my @body = (body => $text);

            for my $how ([], [ chunked => 1 ]) {
                my %rule = (@body, headers => [
                    @json,
                    [ 'ETag',             '"e"' ],
                    [ 'Last-Modified',    'Sat, 21 Nov 2026 00:00:00 GMT' ],
                    [ 'Content-Language', 'cs' ],
                    [ 'X-A',              1 ],
                    [ 'x-a',              2 ],
                    [ 'Retry-After',      3 ],
                    [ 'Vary',             'X-A' ],
                ], @$how);
                my $r = both("$place $size @$how", GET => $place, \%rule);
                is length $r->body, $size, 'all of it';
            }
            my $r = both("$place $size till the end", GET => $place, {
                raw => "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    . "\r\n$body[1]"
            });
            is length $r->body, $size, 'all of it';
        }
    }
};

subtest 'a stream' => sub {
    for my $place (@places) {
        for my $how ([], [ chunked => 1 ]) {
            my $size = 20_000_000;
            $sim->behave->misbehave(body_size => $size, @$how,
                headers => \@json);

            my $md5 = Digest::MD5->new;
            my $r   = $t->get($place, sink => sub { $md5->add($_[0]) });
            my $own = Digest::MD5->new;
            $own->add(filler($_ * 1_000_000, 1_000_000)) for 0 .. 19;

            is $r->length, $size, "$place @$how: the length";
            is $md5->hexdigest, $own->hexdigest, 'the bytes';
        }
    }
};

subtest 'a trickle' => sub {
    my %rule = (trickle_ms => 1, body => '{"id":"i","code":422}',
        headers => \@json);

    both('/, a trickle', GET => '/', \%rule);
    both('/unbuffered/, a trickle', GET => '/unbuffered/',
        { %rule, chunked => 1 });
    $sim->behave->misbehave(trickle_ms => 1, body => '{"code":422}',
        headers => \@json, chunked => 1);
    is_problem($t->get('/'), 'an error', 422, 'validation_failed');
};


subtest 'other answers' => sub {
    my $error = '{"code":422,"message":"m"}';

    for my $place (@places) {
        both("$place HEAD", HEAD => $place,
            { body => $error, headers => \@json });
        both("$place HEAD, chunked", HEAD => $place,
            { body => $error, headers => \@json, chunked => 1 });
        both("$place 204", GET => $place, { status => 204, headers => \@json });
        both("$place a range", GET => "${place}__bytes/100000",
            { headers => [ [ 'X-A', 1 ] ] },
            headers => [ [ 'Range', 'bytes=10-20' ] ]);
        both("$place a range of JSON", GET => $place, {
            status  => 206,
            body    => '{"id":"i","code":422}',
            headers => [ @json, [ 'Content-Range', 'bytes 0-20/21' ] ],
        }, headers => [ [ 'Range', 'bytes=0-20' ] ]);
        both("$place conditions", GET => $place, {
            body    => '{"id":"i"}',
            headers => [ @json, [ 'ETag', '"e"' ],
                [ 'Last-Modified', 'Sat, 21 Nov 2026 00:00:00 GMT' ] ],
        }, headers => [ [ 'If-None-Match', '"e"' ], [ 'Range', 'bytes=0-2' ] ]);
        both("$place gzip", GET => $place, {
            body    => memGzip($error),
            headers => [ @json, [ 'Content-Encoding', 'gzip' ] ],
        });
        both("$place another encoding", GET => $place, {
            body    => $error,
            headers => [ @json, [ 'Content-Encoding', 'x-other' ] ],
        });

        # the header has gone on, or there is nothing that is read
        for my $how ([], [ chunked => 1 ]) {
            both("$place 300 KB, cut @$how", GET => $place, { @$how,
                body_size => 300_000, headers => \@json,
                truncate => 'mid_body' });
            both("$place text, cut @$how", GET => $place, { @$how,
                body => $error, headers => [ [ 'Content-Type', 'text/x' ] ],
                truncate => 'mid_body' });
        }
    }
};

$t->measured('cut before it could be judged' => sub {
    my $body = '{"id":"i","a":"' . 'x' x 30_000 . '"}';

    for my $place (@places) {
        for my $how ([ truncate => 'mid_body' ], [ reset => 'mid_body' ]) {
            for my $framing ([], [ chunked => 1 ]) {
                my $name = "$place @$how @$framing";
                $sim->behave->misbehave(times => 2, body => $body,
                    headers => [ @json, [ 'X-A', 1 ] ], @$how, @$framing);

                my $r = $t->post($place, 'abc');
                is_problem($r, "$name: POST", 502, 'provider_error',
                    outcome => 'unknown', retryable => false, attempts => 1,
                    provider_status => 200);
                is $r->header('X-A'), undef, 'nothing of the header';
                is_problem($t->get($place), "$name: GET", 502,
                    'provider_error', outcome => 'not_applied',
                    retryable => true);
            }
        }
    }
    $sim->behave->misbehave(times => 2, keep => 1, raw => "HTTP/1.1 200 OK\r\n"
            . "Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{");
    is_problem($t->post('/short/', 'abc', port => 8082), 'out of time: POST',
        504, 'provider_timeout', outcome => 'unknown', retryable => false);
    is_problem($t->get('/short/', port => 8082), 'out of time: GET',
        504, 'provider_timeout', outcome => 'not_applied');
    ok wait_until(20, sub { $sim->open_connections <= 1 }), 'it is closed';
});

$t->measured('it stands still' => sub {
    my $head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";

    for my $place (qw(/read/ /read/unbuffered/)) {
        for (
            [ 'the header',    "Content-Length: 99\r\n\r\n" ],
            [ 'half of it',    "Content-Length: 99\r\n\r\n{\"id\":\"paid\"" ],
            [ 'no length',     "\r\n{\"id\":\"paid\"}" ],
            [ 'a chunk of it', "Transfer-Encoding: chunked\r\n\r\n"
                    . "d\r\n{\"id\":\"paid\"}\r\n" ],
            )
        {
            my ($name, $rest) = @$_;
            $sim->behave->clear->misbehave(times => 2, keep => 1,
                raw => $head . $rest);

            for ([ POST => 'unknown', false ], [ GET => 'not_applied', true ]) {
                my ($method, $outcome, $retryable) = @$_;
                is_problem($t->http($method, $place, port => 8082),
                    "$place $name: $method", 504, 'provider_timeout',
                    outcome => $outcome, retryable => $retryable,
                    attempts => 1, provider_status => 200);
            }
            is scalar @{ $sim->requests }, 2, 'no call was made twice';
        }
    }
    ok wait_until(20, sub { $sim->open_connections <= 1 }), 'all are closed';
});


# A result may be anything but nothing.
subtest 'results' => sub {
    for my $code (422, 500, '"422"') {
        for my $result ('{"id":1}', '{}', '[1]', '[]', '[null]', '"d"', '" "',
            '"\u0000"', 0, 7, 'false', 'true')
        {
            my $body = qq({"code":$code,"data":$result});
            $data->behave->misbehave(body => $body, headers => \@json);
            my $r = $t->post('/data/', 'abc', port => 8082);
            is_deeply [ $r->status, $r->body ], [ 200, $body ], "$body passes";
        }
    }
    for my $result ('null', '""', undef) {
        my $body = '{"code":500' . (defined $result ? ',"data":' : '')
            . ($result // '') . '}';
        $data->behave->misbehave(body => $body, headers => \@json);
        my $r = $t->post('/data/', 'abc', port => 8082);
        is_problem($r, $body, 502, 'provider_error', outcome => 'unknown');
    }
};


# Only an error's are looked at.
subtest 'the credential in the header' => sub {
    my $value = $t->secret_value('key');
    my @echo  = (
        [ 'X-Echo', "a${value}b" ], [ 'ETag', qq("$value") ],
        [ 'Content-Language', $value ], [ 'Retry-After', $value ],
    );

    for my $place (@places) {
        for my $type ('application/json', "application/json; a=$value",
            "text/$value")
        {
            my $name = $type =~ s/\Q$value\E/KEY/r;

            for my $how ([], [ chunked => 1 ]) {
                for my $body ('{"id":"i","code":422}', '{}', 'x' x 70_000) {
                    my $length = length $body;
                    both("$place $name @$how, $length bytes", POST => $place, {
                        body    => $body,
                        headers => [ [ 'Content-Type', $type ], @echo ],
                        @$how,
                    }, body => 'abc');
                }
            }
        }
    }

    # these can be seen in a log that the harness reads
    for my $rule ([ body => '{"code":422}' ],
        [ body => '{"id":"i"}', truncate => 'mid_body' ],
        [ body => '{"id":"i"}', truncate => 'mid_body', chunked => 1 ])
    {
        $sim->behave->misbehave(@$rule, headers => [ @json, @echo ]);
        my $r = $t->post('/logged/', 'abc', port => 8082);
        is $r->header('Content-Type'), 'application/problem+json', 'a problem';
        unlike $r->raw, qr/\Q$value\E/, 'nothing of it';
    }
    ok wait_until(20, sub { 3 == (() = $t->read('echo.log') =~ /^echo /mg) }),
        'all are logged';
    unlike $t->read('echo.log'), qr/\Q$value\E/, 'and nothing of it there';
};


# A subrequest for the status alone has no use for the body, which may never
# end.
subtest 'auth_request' => sub {
    ok disconnect(), 'no connection';

    for my $place (@places) {
        for my $rule ([ endless => 1 ],
            [ body_size => 10_000_000, chunked => 1 ])
        {
            $sim->behave->misbehave(headers => \@json, @$rule);
            my $r = $t->get("/asking$place", port => 8082);
            is $r->status, 200, "$place @$rule: the answer" or diag $r->error;
            is $r->body, 'allowed', 'of what it is for';
            ok wait_until(20, sub { $sim->open_connections == 0 }),
                'the connection is closed';
            is $t->get('/own', port => 8082, socket => $r->socket)->body,
                'own', "the caller's goes on";
        }
        $sim->behave->misbehave(headers => \@json, body => '{"id":"i"}',
            close => 'after_answer');
        is $t->get("/asking$place", port => 8082)->status, 200,
            "$place it is allowed";
        $sim->behave->misbehave(headers => \@json, body => '{"code":401}',
            close => 'after_answer');
        is $t->get("/asking$place", port => 8082)->status, 500,
            "$place an error is no permission";
    }
    $t->expect_log(qr/auth request unexpected status: 502/);
};


# A body that is not read passes as it comes, one that is does not.
subtest 'first bytes' => sub {
    my $head = "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n";
    my %rule = (times => -1, keep => 1);

    $sim->behave;
    $sim->misbehave(%rule, match => 'json',
        raw => "${head}Content-Type: application/json\r\n\r\n{\"id\":\"i\"");
    $sim->misbehave(%rule, match => 'large', raw => $head =~ s/1000/100000/r
            . "Content-Type: application/json\r\n\r\n{\"id\":\"i\"");
    $sim->misbehave(%rule, match => 'text',
        raw => "${head}Content-Type: text/plain\r\n\r\nthe beginning");

    my %socket;
    for my $name (qw(json large text)) {
        $socket{$name} = $t->get("/unbuffered/$name", no_read => 1);
    }
    my %got = map { $_ => '' } keys %socket;

    for my $name (qw(text large)) {
        ok wait_until(20, sub {
            sysread $socket{$name}, $got{$name}, 65_536, length $got{$name};
            return $got{$name} =~ /(?:the beginning|\{"id":"i")\z/;
        }), "$name: the first bytes are there";
        like $got{$name}, qr{^HTTP/1.1 200 OK\r\n}, 'after the header';
    }
    sysread $socket{json}, $got{json}, 65_536;
    is $got{json}, '', 'json: nothing of it, which was sent before';
    close $_ for values %socket;

    # where bodies are buffered, a few bytes may wait for more of them
    $sim->behave->misbehave(keep => 1, raw => $head =~ s/1000/200000/r
            . "Content-Type: application/json\r\n\r\n" . 'x' x 150_000);
    $socket{json} = $t->get('/json', no_read => 1);
    ok wait_until(20, sub {
        sysread $socket{json}, my $bytes, 65_536;
        return ($bytes // '') =~ m{^HTTP/1.1 200 OK\r\n};
    }), 'of what is too long, where bodies are buffered';
    close $socket{json};
    ok wait_until(20, sub { $sim->open_connections <= 1 }), 'all are closed';
};


subtest 'HTTP/2' => sub {
    my $n = 0;
    my $curl = sub {
        my $file = $t->dir . '/h2_' . $n++;
        open my $pipe, '-|',
            qw(curl -s --http2-prior-knowledge --max-time 30 -w),
            '%{http_code} %{size_download} %{content_type}', '-o', $file,
            'http://127.0.0.1:' . $t->port(8083) . '/'
            or die "curl: $!";
        return scalar <$pipe>, $file =~ s{.*/}{}r;
    };

    for my $size (1, 1000, 65_536, 65_537, 2_000_000) {
        for my $how ([], [ chunked => 1 ]) {
            $sim->behave->misbehave(body_size => $size, headers => \@json,
                @$how);
            my ($status, $file) = $curl->();
            is $status, "200 $size application/json", "$size bytes @$how";
            is md5_hex($t->read($file)), md5_hex(filler(0, $size)),
                'the bytes';
        }
    }
    $sim->behave->misbehave(body => '{"code":422}', headers => \@json);
    my ($status, $file) = $curl->();
    like $status, qr{^422 \d+ application/problem\+json$}, 'an error';
    is decode_json($t->read($file))->{code}, 'validation_failed',
        'its document';
};


# One connection of the caller's, and one to the provider.
subtest 'connections' => sub {
    ok disconnect(), 'none';

    my $before = $sim->connections;
    my $socket;
    for my $place (@places) {
        for my $body ('{"code":422}', '{"id":1}', 'x' x 65_536, 'x' x 65_537) {
            for my $how ([], [ chunked => 1 ]) {
                $sim->behave->misbehave(body => $body, headers => \@json,
                    @$how);
                my $r = $t->get($place, $socket ? (socket => $socket) : ());
                is $r->complete, 1, "$place @{[ length $body ]} @$how";
                $socket = $r->socket;
            }
        }
    }
    is $sim->connections - $before, 1, 'one to the provider';
};


# The preset whose provider does so.
my $api = '/plasma/business/api/v1/public';

sub plasma { return $t->http(@_, port => 8082) }

subtest 'plasmapay' => sub {
    my $r = plasma(GET => "$api/ping");
    is $r->body, '{"message":"pong ;)"}', 'ping passes';

    my @invoice = map { $_ => 'x' } qw(currencyCode merchantId description
        accountId);
    $r = plasma(POST => "$api/invoices", headers => \@json,
        body => encode_json({ @invoice, amount => 422 }));
    is $r->status, 200, 'an invoice';
    is length $r->json->{id}, 40, 'has an id';
    is plasma(DELETE => "$api/invoices/" . $r->json->{extId})->body
        =~ /successfully removed/, 1, 'and is removed';

    is_problem(plasma(POST => "$api/invoices", headers => \@json,
            body => '{}'),
        'a 422', 422, 'validation_failed', provider_status => 422,
        provider_code => '422', detail => 'currencyCode is required');

    my $error = '{"code":"422","message":"amount is required"}';
    $plasma->behave->misbehave(times => 5, body => $error, headers => \@json);
    is_problem(plasma(POST => "$api/invoices", headers => \@json,
            body => '{}'),
        'the same with a 200', 422, 'validation_failed',
        provider_status => 200, provider_code => '422',
        detail => 'amount is required', outcome => 'not_applied');
    is_problem(plasma(GET => '/plasma/'), 'GET', 422, 'validation_failed');

    for my $place (qw(status_off errors_off)) {
        $r = plasma(GET => "/$place/");
        is $r->status, 200, "$place: the status";
        is $r->body, $error, 'and the body pass';
    }
    $plasma->behave->misbehave(status => 409, body => $error,
        headers => \@json);
    is_problem(plasma(GET => '/status_off/'), 'status=off, a 409', 409,
        'conflict', provider_code => '422', detail => 'amount is required');
};

done_testing;
