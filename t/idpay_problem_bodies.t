#!/usr/bin/env perl

# Whatever the body of a provider's error is, and however it is sent, the
# caller gets a whole problem of the right status, and nothing else of the
# provider's answer.

use strict;
use warnings;

use Compress::Zlib qw(memGunzip memGzip);
use IO::Select;
use Mojo::JSON     qw(decode_json encode_json false true);
use Test::Idpay;
use Test::More;

my $fields = join "\n        ",
    'idpay_retry off; idpay_rate off; idpay_adaptive off; idpay_breaker off;',
    'idpay_error_fields code=/code type=/type message=/message',
    '                   request_id=/request_id errors=/errors field=/field',
    '                   field_code=/code field_message=/message;';

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'gate', tls => 0, limits => $fields);

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%

    %%UPSTREAM_gate%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        listen 127.0.0.1:%%PORT_8081%% http2;

        client_max_body_size 2m;

        location / { idpay_pass gate; }

        location /unbuffered/ {
            proxy_buffering off;
            idpay_pass gate/;
        }
        location /stream/ {
            proxy_request_buffering off;
            idpay_pass gate/;
        }
        location /encoded/ {
            proxy_set_header Accept-Encoding gzip;
            idpay_pass gate/;
        }
        location /zipped/ {
            gzip on;
            gzip_min_length 1;
            gzip_types application/problem+json;
            idpay_pass gate/;
        }
        location /added/ {
            add_header X-Added 1;
            add_header X-Always 2 always;
            idpay_pass gate/;
        }
    }
}
CONF
$t->run;

# What a problem has of the provider's texts.
my @said = qw(provider_code provider_type provider_request_id errors);

# What each status is, if nothing else is known: code and status.
my %class = (
    401 => [ credential_rejected  => 502 ],
    402 => [ request_failed       => 402 ],
    403 => [ permission_denied    => 403 ],
    404 => [ not_found            => 404 ],
    409 => [ conflict             => 409 ],
    410 => [ not_found            => 404 ],
    422 => [ validation_failed    => 422 ],
    429 => [ rate_limited         => 429 ],
    503 => [ provider_unavailable => 503 ],
    (map { $_ => [ invalid_request => $_ ] } 405, 406, 411, 413, 414, 415),
);


sub class_of {
    my $status = shift;

    return @{
        $class{$status} // (
            $status < 500
            ? [ invalid_request => 400 ]
            : [ provider_error => 502 ]
        )
    };
}


# The provider's texts and "detail" are those of %expected; texts that are not
# there must not be in the problem.
sub is_problem {
    my ($r, $name, $status, %expected) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($code, $answered) = class_of($status);
    my $problem = eval { decode_json($r->body) } // {};
    my %is      = (
        complete => $r->complete,
        status   => $r->status,
        type     => $r->header('Content-Type'),
        length   => $r->header('Content-Length'),
        member   => $problem->{status},
        code     => $problem->{code},
        provider => $problem->{provider_status},
        detail   => $problem->{detail},
        map { $_ => $problem->{$_} } @said,
    );
    my %should = (
        complete => 1,
        status   => $answered,
        type     => 'application/problem+json',
        length   => length $r->body,
        member   => $answered,
        code     => $code,
        provider => $status,
        %is{'detail'},
        (map { $_ => undef } @said),
        %expected,
    );
    my $ok = is_deeply(\%is, \%should, $name);
    diag(substr $r->raw, 0, 2000) if !$ok;

    my $own = $problem->{detail} // '';
    like $own, qr/^the (?:provider|request|gateway)\b/, "$name: a sentence"
        if !exists $expected{detail};
    return $ok;
}


# All on one connection: a byte too many or too few would spoil the next one.
my $socket;

sub call {
    my ($uri, %opt) = @_;

    my $r = $t->http($opt{method} // 'GET', $uri, %opt,
        $socket ? (socket => $socket) : ());
    $socket = $r->complete ? $r->socket : undef;
    return $r;
}


sub json { return (headers => [ [ 'Content-Type', 'application/json' ] ]) }


subtest 'each status' => sub {
    for my $status (400 .. 599, 600, 799, 999) {
        my ($code, $answered) = class_of($status);
        my $final = $status =~ /^50[15]$/;

        # of these a repetition is worth it, or if it does no harm
        my $always = $code =~ /^(?:rate_limited|provider_unavailable)$/;
        my $safe   = $code eq 'provider_error' && !$final;

        $sim->behave->misbehave(status => $status, times => 2,
            body => '{"code":"c","message":"m","request_id":"r"}');

        for my $method (qw(GET POST)) {
            my $name = "a $status to $method";
            my $r = call('/', method => $method);
            is_problem($r, $name, $status, provider_code => 'c',
                provider_request_id => 'r',
                $answered < 500 ? (detail => 'm') : ());

            my $get = $method eq 'GET';
            is_deeply [ @{ $r->json }{qw(retryable outcome attempts)} ], [
                $always || $safe && $get ? true : false,
                $status >= 500 && !$get ? 'unknown' : 'not_applied', 1
            ], "$name: what may be done";
        }
    }
};

subtest 'what is no error passes' => sub {
    for my $status (200, 299, 300, 399) {
        $sim->behave->misbehave(status => $status, body => '{"code":500}');
        my $r = call('/');
        is $r->status, $status, "a $status";
        is $r->body, '{"code":500}', 'as it is';
    }
};


my $fffd  = "\x{fffd}";
my $array = '[' x 1000 . ']' x 1000;
my $deep  = '{"a":' x 1000 . '1' . '}' x 1000;
my $list  = '[{"field":"f","code":"c","message":"m"}]';

# What does not say anything, whatever its Content-Type claims.
my %mute = (
    'nothing'             => '',
    'spaces'              => " \r\n\t ",
    'HTML'                => '<html><body><h1>502</h1></body></html>',
    'plain text'          => 'Something {"code":"x"} happened',
    'XML'                 => '<?xml version="1.0"?><code>x</code>',
    'truncated JSON'      => '{"code":"x","message":"y',
    'an object not ended' => '{"code":"x"',
    'two documents'       => '{"code":"x"}{"code":"y"}',
    'a comma too many'    => '{"code":"x",}',
    'quotes of the wrong kind' => "{'code':'x'}",
    'objects, 1000 deep'  => $deep,
    'code in the deep'    => qq({"code":"x","a":$deep}),
    'arrays, 1000 deep'   => $array,
    'brackets, 30000'     => '[' x 30_000,
    'a NUL'               => "{\"code\":\"a\0b\"}",
    'a NUL behind'        => "{\"code\":\"x\"}\0",
    'only NULs'           => "\0" x 4096,
    'half of an escape'   => '{"code":"x","message":"\ud83d\ude0"}',
    'no escape'           => '{"code":"\x41"}',
    'a string'            => '"code"',
    'a number'            => '42',
    'true'                => 'true',
    'null'                => 'null',
    'an array'            => '["code","message"]',
    'an array of objects' => '[{"code":"x","message":"y"}]',
    'an empty object'     => '{}',
    'other members'       => '{"Code":"x","codes":"y","a":{"code":"z"}}',
    'UTF-16'              => "\xff\xfe" . join('', map {"$_\0"} split //,
        '{"code":"x"}'),
    'NaN'                 => '{"code":NaN}',
    (map { ("code is $_" => qq({"code":$_,"message":$_,"errors":$_})) }
        'null', '{}', '[]', '{"a":"b"}', '["a"]', '""'),
    (map { ("errors is $_" => qq({"errors":$_})) } '"x"', '{"0":{}}',
        '[]', '[1,"x",null,[]]', '[{}]', '[{"code":"c","message":"m"}]',
        '[{"field":{},"code":"x"}]', '[{"field":""}]'),
);

for my $name (sort keys %mute) {
    for my $how ([], [ json() ]) {
        $sim->behave->misbehave(status => 404, body => $mute{$name}, @$how);
        is_problem(call('/'), $name . (@$how ? ', JSON by its type' : ''), 404);
    }
}


# What is said by others: bytes of the body, and what is in the problem.
my $long = '1234567890' x 4;
my @told = (
    [ 'spaces around', " \n{ \"code\" : \"x\" }\r\n ", provider_code => 'x' ],
    [ 'a BOM', "\xef\xbb\xbf" . '{"code":"x"}', provider_code => 'x' ],
    [ 'no Content-Type that fits', '{"code":"x"}', provider_code => 'x' ],
    [ 'duplicate members', '{"code":"1st","message":"m","code":"2nd"}',
        provider_code => '1st', detail => 'm' ],
    [ 'escaped NUL', '{"code":"a\u0000b"}', provider_code => "a${fffd}b" ],
    [ 'an escaped pair', '{"code":"\ud83d\ude00"}',
        provider_code => "\x{1f600}" ],
    [ 'half of a pair', '{"code":"x","message":"bad \ud83d"}',
        provider_code => 'x', detail => "bad $fffd" ],
    [ 'nothing but it', '{"code":"\ud800","type":"\udfff"}',
        provider_code => $fffd, provider_type => $fffd ],
    [ 'the other half', '{"code":"\udc00x","message":"\uDE00 m"}',
        provider_code => "${fffd}x", detail => "$fffd m" ],
    [ 'two halves, swapped', '{"code":"x","message":"\udc00\ud800"}',
        provider_code => 'x', detail => $fffd x 2 ],
    [ 'one half, twice', '{"message":"\ud83d\ud83d"}', detail => $fffd x 2 ],
    [ 'half of a pair before one', '{"message":"\uD83D\uD83D\uDE00\uDE00"}',
        detail => "$fffd\x{1f600}$fffd" ],
    [ 'half of a pair before others',
        '{"message":"\ud83dx\ud83d\u0041\ud83d\n\ud83d\\\\ude00"}',
        detail => "${fffd}x${fffd}A${fffd}\n${fffd}\\ude00" ],
    [ 'what is no half', '{"message":"\ud7ff\ue000 \\\\ud800"}',
        detail => "\x{d7ff}\x{e000} \\ud800" ],
    [ 'half of a pair in a name', '{"\ud83d":"\udc00","code":"x"}',
        provider_code => 'x' ],
    [ 'half of a pair in errors', '{"errors":[{"field":"f\ud83d",'
            . '"code":"\ude00","message":"m"}]}',
        errors => [ { field => "f$fffd", code => $fffd, detail => 'm' } ] ],
    [ '40 digits', qq({"code":$long,"type":-$long}), provider_code => $long,
        provider_type => "-$long" ],
    [ 'numbers', '{"code":1e400,"type":-0.10}', provider_code => '1e400',
        provider_type => '-0.10' ],
    [ 'booleans', '{"code":true,"type":false}', provider_code => 'true',
        provider_type => 'false' ],
    [ 'zero', '{"code":0,"type":"0"}', provider_code => '0',
        provider_type => '0' ],
    [ 'ISO 8859-1', "{\"message\":\"Stra\xdfe\"}", detail => "Stra${fffd}e" ],
    [ 'no UTF-8', "{\"message\":\"a \xff\xc0\x80\xed\xa0\x80\xf4\x90\xbf.\"}",
        detail => 'a ' . $fffd x 9 . '.' ],
    [ 'a character cut', "{\"message\":\"a\xe2\x82\"}",
        detail => "a$fffd$fffd" ],
    [ 'UTF-8', "{\"message\":\"P\xc5\x99\xc3\xadli\xc5\xa1 \xf0\x9f\x98\x80\"}",
        detail => "P\x{159}\x{ed}li\x{161} \x{1f600}" ],
    [ 'control characters',
        '{"message":"a\b\f\n\r\t\u0001\u001f\u007f\u0085b"}',
        detail => "a\b\f\n\r\t\x01\x1f\x7f\x{85}b" ],
    [ 'quotes', '{"message":"\"a\" \\\\ b\/"}', detail => '"a" \\ b/' ],
    [ 'separators of lines', '{"message":"a\u2028\u2029b"}',
        detail => "a\x{2028}\x{2029}b" ],
    [ 'markup', '{"message":"<script>alert(\"&amp;\")</script>","code":"<b>"}',
        detail => '<script>alert("&amp;")</script>', provider_code => '<b>' ],
    [ 'members of the problem',
        '{"message":"m\",\"status\":200,\"x\":\"","status":200,"title":"t"}',
        detail => 'm","status":200,"x":"' ],
    [ 'errors', qq({"errors":$list}),
        errors => [ { field => 'f', code => 'c', detail => 'm' } ] ],
    [ 'errors of all kinds', '{"errors":[{"field":1},"x",{"code":"c"},'
            . "{\"field\":\"\xff\",\"code\":{},\"message\":\"\\u0007\"}]}",
        errors => [ { field => '1' }, { field => $fffd, detail => "\a" } ] ],
    [ 'too many errors', '{"errors":[' . join(',',
            map {qq({"field":"f$_"})} 1 .. 1000) . ']}',
        errors => [ map { { field => "f$_" } } 1 .. 32 ] ],
);

for (@told) {
    my ($name, $body, %expected) = @$_;

    for my $uri ('/', '/unbuffered/') {
        for my $how ([], [ chunked => 1 ]) {
            $sim->behave->misbehave(status => 404, body => $body, @$how);

            my $r = call($uri);
            is_problem($r, join(' ', $name, $uri, @$how), 404, %expected);
            unlike $r->body =~ s/\r\n\z//r, qr/[\x00-\x1f]/,
                'no control character stands in it';
        }
    }
}

# cJSON takes them; a JSON of this kind is none, so either will do.
$sim->behave->misbehave(status => 404, body => "{\"message\":\"a\n\x01\tb\"}");
my $r = call('/');
is $r->json->{code}, 'not_found', 'control characters as they are';
unlike $r->body =~ s/\r\n\z//r, qr/[\x00-\x1f]/, 'they are not in the answer';


# What is too long is cut between two characters.
my %cut = (
    'x'                => 'x' x 1021,
    "\xc3\xa9"         => "\x{e9}" x 510,
    "\xe2\x82\xac"     => "\x{20ac}" x 340,
    "\xf0\x9f\x98\x80" => "\x{1f600}" x 255,
    "\xff"             => $fffd x 1021,
    '\u0001'           => "\x01" x 1021,
    '\"'               => '"' x 1021,
);

for my $unit (sort keys %cut) {
    my $times = int(60_000 / length $unit);
    my $name  = 'a message of 60 KB: ' . unpack 'H*', $unit;

    for my $how ([], [ chunked => 1 ]) {
        $sim->behave->misbehave(status => 422, @$how,
            body => '{"message":"' . $unit x $times . '"}');
        is_problem(call('/'), $name, 422, detail => "$cut{$unit}...");
    }
}
for my $offset (1 .. 3) {
    $sim->behave->misbehave(status => 422, body => '{"message":"'
            . 'a' x $offset . "\xf0\x9f\x98\x80" x 9000 . '"}');

    my $faces = int((1021 - $offset) / 4);
    is_problem(call('/'), "$offset bytes before them", 422,
        detail => 'a' x $offset . "\x{1f600}" x $faces . '...');
}
for my $length (1024, 1025) {
    my ($text, $name) = ('t' x $length, 'n' x ($length - 896));
    $sim->behave->misbehave(status => 422, body => encode_json({
        code => $name, type => $name, request_id => $name, message => $text,
        errors => [ { field => $name, code => $name, message => $text } ],
    }));

    if ($length > 1024) {
        $text = 't' x 1021 . '...';
        $name = 'n' x 125 . '...';
    }
    is_problem(call('/'), "texts of $length and " . ($length - 896), 422,
        detail => $text, (map { $_ => $name } @said[ 0 .. 2 ]),
        errors => [ { field => $name, code => $name, detail => $text } ]);
}


# No more than 64 KB are read for what they say.
for my $uri ('/', '/unbuffered/') {
    for my $how ([], [ chunked => 1 ]) {
        for my $size (65_535, 65_536, 65_537, 100_000, 131_072, 131_073) {
            my $body = '{"code":"x"' . ' ' x ($size - 12) . '}';
            $sim->behave->misbehave(status => 409, body => $body, @$how);
            is_problem(call($uri), "$size bytes $uri @$how", 409,
                $size <= 65_536 ? (provider_code => 'x') : ());
        }
        $sim->behave->misbehave(status => 409, @$how,
            body => '{"code":"x"}' . ' ' x 65_536);
        is_problem(call($uri), "spaces behind it $uri @$how", 409);

        $sim->behave->misbehave(status => 500, @$how, json(),
            body => '{"message":"' . 'x' x 100_000 . '","code":"x"}');
        is_problem(call($uri), "a message of 100 KB $uri @$how", 500);

        $sim->behave->misbehave(status => 500, body_size => 10_000_000, @$how);
        is_problem(call($uri), "10 MB $uri @$how", 500);
    }
    $sim->behave->misbehave(status => 404, endless => 1);
    is_problem(call($uri), "endless $uri", 404);
}


# An encoded body says nothing, and is not passed.
for my $uri ('/', '/encoded/') {
    for my $encoding (qw(gzip br deflate x-unknown)) {
        $sim->behave->misbehave(status => 400, body => memGzip('{"code":"x"}'),
            headers => [ [ 'Content-Type', 'application/json' ],
                [ 'Content-Encoding', $encoding ] ]);

        my $answer = call($uri);
        is_problem($answer, "$encoding $uri", 400);
        is $answer->header('Content-Encoding'), undef, 'is not encoded';
    }
}

# One that stands still is not waited for as long as what may say something.
{
    my $head = "HTTP/1.1 404 Not Found\r\n";
    my $half = 'x' x 40;
    my @still = (
        [ "${head}Content-Length: 100\r\n", $half ],
        [ "${head}Transfer-Encoding: chunked\r\n", "28\r\n$half\r\n" ],
    );
    my (@plain, @encoded);

    for my $uri ('/', '/unbuffered/', '/encoded/') {
        for my $how (@still) {
            my ($fields, $body) = @$how;

            $sim->behave->clear->misbehave(keep => 1,
                raw => "$fields\r\n$body");
            push @plain, $t->get($uri, no_read => 1);
            $sim->wait_requests(1);

            $sim->misbehave(keep => 1,
                raw => "${fields}Content-Encoding: gzip\r\n\r\n$body");
            push @encoded, $t->get($uri, no_read => 1);
            $sim->wait_requests(2);
        }
    }
    for my $socket (@encoded) {
        my $r = $t->read_response($socket, 'GET');
        is_problem($r, 'an encoded body that stands still', 404);
    }
    is_deeply [ map { $_->fileno } IO::Select->new(@plain)->can_read(0) ], [],
        'the others are waited for';
    is_problem($t->read_response($_, 'GET'), 'one that is not encoded', 404)
        for @plain;
}


# Framing of another kind.
my $head = "HTTP/1.1 404 Not Found\r\n";
my %raw  = (
    'no Content-Type'  => "${head}Content-Length: 12\r\n\r\n{\"code\":\"x\"}",
    'till the end'     => "$head\r\n{\"code\":\"x\"}",
    'of HTTP/1.0'      => "HTTP/1.0 404 N\r\n\r\n{\"code\":\"x\"}",
    'without a reason' => "HTTP/1.1 404\r\n\r\n{\"code\":\"x\"}",
    'a trailer'        => "${head}Transfer-Encoding: chunked\r\n\r\n"
        . "6;a=b\r\n{\"code\r\n6\r\n\":\"x\"}\r\n0\r\nX-Trailer: 1\r\n\r\n",
    'after 103'        => "HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n"
        . "${head}Content-Length: 12\r\n\r\n{\"code\":\"x\"}",
    'more than said'   => "${head}Content-Length: 12\r\n\r\n"
        . '{"code":"x"}, and more',
);
for my $name (sort keys %raw) {
    $sim->behave->misbehave(raw => $raw{$name});
    is_problem(call('/'), $name, 404, provider_code => 'x');
}


# Of the provider's header nothing passes.
my @theirs = (
    [ 'Set-Cookie',       'a=b' ],
    [ 'WWW-Authenticate', 'Bearer realm="r"' ],
    [ 'ETag',             '"e"' ],
    [ 'Last-Modified',    'Sat, 21 Nov 2026 00:00:00 GMT' ],
    [ 'Content-Encoding', 'identity' ],
    [ 'Content-Language', 'cs' ],
    [ 'Content-Range',    'bytes */1' ],
    [ 'Content-Disposition', 'attachment' ],
    [ 'Accept-Ranges',    'bytes' ],
    [ 'Location',         '/elsewhere' ],
    [ 'Refresh',          '0;url=/elsewhere' ],
    [ 'Cache-Control',    'max-age=1000' ],
    [ 'Expires',          'Sat, 21 Nov 2036 00:00:00 GMT' ],
    [ 'Vary',             'X-Foo' ],
    [ 'Server',           'theirs' ],
    [ 'Trailer',          'X-Foo' ],
    [ 'X-Foo',            'bar' ],
    [ 'X-Accel-Expires',  '100' ],
    [ 'Content-Type',     'text/html; charset=iso-8859-2' ],
);
my @ours = qw(Connection Content-Length Content-Type Date Server);

for my $how ([], [ chunked => 1 ]) {
    for my $uri ('/', '/unbuffered/', '/added/') {
        for my $status (401, 404, 416, 500) {
            $sim->behave->misbehave(status => $status, body => '{"code":"x"}',
                headers => \@theirs, @$how);

            $r = call($uri);
            my @more = $uri eq '/added/' ? ('X-Always') : ();
            is_deeply [ sort map { $_->[0] } $r->headers ], [ @ours, @more ],
                "$status $uri @$how: the header";
            like $r->header('Server'), qr/^nginx/, 'whose it is';
            is $r->header('Content-Type'), 'application/problem+json', 'type';
        }
    }
}
$sim->behave->misbehave(status => 405,
    headers => [ @theirs, [ Allow => 'GET, PURGE' ] ]);
$r = call('/', method => 'DELETE');
is_deeply [ $r->headers('Allow') ], ['GET, PURGE'], 'Allow of a 405';
is_deeply [ sort map { $_->[0] } $r->headers ], [ sort @ours, 'Allow' ],
    'and nothing else';

$sim->behave->misbehave(status => 404, headers => [ [ Allow => 'GET' ] ]);
is call('/')->header('Allow'), undef, 'of no other status';


# Callers of all kinds.

subtest 'HEAD' => sub {
    for my $status (400, 401, 405, 404, 500, 503) {
        my (undef, $answered) = class_of($status);

        for my $rule ([ body => '' ], [ body_size => 10_000_000 ],
            [ body_size => 100_000, chunked => 1 ], [ endless => 1 ])
        {
            $sim->behave->misbehave(status => $status, body => '');
            my $get = call('/');
            $sim->behave->misbehave(status => $status, @$rule);
            my $head = call('/', method => 'HEAD');

            is $head->status, $answered, "HEAD $status @$rule";
            is $head->body, '', 'no body';
            is_deeply [ sort map { $_->[0] } $head->headers ], \@ours,
                'the header';
            is $head->header($_), $get->header($_), "the same $_"
                for qw(Content-Type Content-Length);
        }
    }
    is call('/')->status, 200, 'the connection goes on';
};

subtest 'POST of 1 MB' => sub {
    for my $uri ('/', '/unbuffered/', '/stream/') {
        for my $chunked (0, 1) {
            $sim->behave->misbehave(early => 1, status => 413,
                body => '{"code":"x"}');
            my $r = $t->post($uri, 'x' x 1_000_000, chunked => $chunked);
            is_problem($r, "POST $uri $chunked", 413, provider_code => 'x');

            my $next = $t->get('/', socket => $r->socket);
            is $next->status, 200, 'the connection goes on';
        }
    }
    $sim->behave->misbehave(status => 422, body => '{"code":"x"}');
    is_problem($t->post('/', 'x' x 1_000_000), 'after the body', 422,
        provider_code => 'x');
};

subtest 'HTTP/1.0' => sub {
    for my $how ([], [ chunked => 1 ], [ body_size => 200_000 ]) {
        $sim->behave->misbehave(status => 404, body => '{}', @$how);
        my $r = $t->http(GET => '', raw => "GET / HTTP/1.0\r\n\r\n");
        is_problem($r, "HTTP/1.0 @$how", 404);
        is $r->header('Connection'), 'close', 'closed';
    }
};

subtest 'a pipeline' => sub {
    my @statuses = (404, 500, 422, 200, 401, 429);
    $sim->behave;
    $sim->misbehave(match => "^/$_\$", status => $_,
        body => qq({"code":"c$_"})) for @statuses;

    my $socket = $t->http(GET => '', no_read => 1, raw => join '',
        map {"GET /$_ HTTP/1.1\r\nHost: h\r\n\r\n"} @statuses);

    for my $status (@statuses) {
        my $r = $t->read_response($socket, 'GET');
        $status == 200
            ? is($r->body, '{"code":"c200"}', '200 among them')
            : is_problem($r, "a $status", $status, provider_code => "c$status");
    }
};

subtest 'conditions and ranges' => sub {
    my @headers = (
        [ 'Range',               'bytes=0-9' ],
        [ 'If-None-Match',       '*' ],
        [ 'If-Match',            '"other"' ],
        [ 'If-Modified-Since',   'Sat, 21 Nov 2036 00:00:00 GMT' ],
        [ 'If-Unmodified-Since', 'Sat, 21 Nov 2006 00:00:00 GMT' ],
        [ 'If-Range',            '"e"' ],
        [ 'TE',                  'trailers' ],
    );
    for my $how (map({ [$_] } @headers), [ @headers[ 0, 5 ] ], [@headers]) {
        for my $status (404, 412, 416, 500) {
            $sim->behave->misbehave(status => $status, body => '{"code":"x"}',
                headers => \@theirs);
            is_problem(call('/', headers => $how),
                "$status, " . join(', ', map { $_->[0] } @$how), $status);
        }
    }
};

subtest 'a caller that takes gzip' => sub {
    for my $status (401, 403, 404, 422, 500) {
        $sim->behave->misbehave(status => $status, body => '{"code":"x"}');
        my $r = call('/zipped/', headers => [ [ 'Accept-Encoding', 'gzip' ] ]);

        my $body = $r->body;
        if ($status == 403 || $status == 404) {
            is $r->header('Content-Encoding'), 'gzip', "$status is encoded";
            $body = memGunzip($body);
        }
        my ($code, $answered) = class_of($status);
        is $r->status, $answered, "$status: the status";
        is $r->complete, 1, 'whole';
        is_deeply [ @{ decode_json($body) }{qw(code provider_code)} ],
            [ $code, 'x' ], 'the document';
    }
};

subtest 'HTTP/2' => sub {
    my $body = $t->write('body', 'x' x 1_000_000);

    for (
        [ GET  => 404, body => '{"code":"x"}' ],
        [ GET  => 404, body => '{"code":"x"}', chunked => 1 ],
        [ GET  => 500, body_size => 10_000_000 ],
        [ GET  => 401, endless => 1 ],
        [ HEAD => 404, body => '{"code":"x"}' ],
        [ POST => 422, body => '{"code":"x"}' ],
        )
    {
        my ($method, $status, @how) = @$_;
        $sim->behave->misbehave(status => $status, headers => \@theirs, @how);

        my @curl = (qw(curl -s --http2-prior-knowledge --max-time 30),
            $method eq 'HEAD' ? '-I' : '-i',
            $method eq 'POST' ? ('--data-binary', "\@$body") : ());
        open my $pipe, '-|', @curl,
            'http://127.0.0.1:' . $t->port(8081) . '/'
            or die "curl: $!";
        my $all = do { local $/; <$pipe> };

        # what comes before is the interim answer to the body
        $all =~ s/^HTTP\/2 1\d\d.*?\r\n\r\n//s;
        my ($head, $document) = split /\r\n\r\n/, $all, 2;
        my ($code, $answered) = class_of($status);

        like $head, qr{^HTTP/2 $answered\b}, "$method $status @how";
        is_deeply [ sort $head =~ /^([\w-]+):/mg ],
            [ sort map { lc } grep { $_ ne 'Connection' } @ours ],
            'the header';
        my ($length) = $head =~ /^content-length: (\d+)/mi;
        if ($method eq 'HEAD') {
            is $document, '', 'no body';
            next;
        }
        is $length, length $document, 'its length';
        is eval { decode_json($document)->{code} }, $code, 'the document';
    }
};


$sim->behave;
is call('/')->status, 200, 'and all goes on';

done_testing;
