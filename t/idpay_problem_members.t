#!/usr/bin/env perl

# The document that a failed call is answered with: its members, its header,
# and that it is well framed for every kind of caller.

use strict;
use warnings;

use Compress::Zlib qw(memGunzip);
use Mojo::JSON     qw(decode_json false true);
use Test::Idpay;
use Test::Idpay::Process qw(wait_until);
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('plaid', tls => 0);

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    log_format id '$request_id $status $uri';
    access_log %%TESTDIR%%/id.log id;

    %%UPSTREAM_plaid%%
    upstream dead {
        server          127.0.0.1:%%PORT_1%%;
        idpay_provider  generic;
        idpay_tls       off;
        idpay_host      generic.test;
        idpay_auth      bearer;
        idpay_secret    token file:%%SECRET_token%%;
        %%UNLIMITED%%
    }
    server {
        listen 127.0.0.1:%%PORT_8080%%;
        listen 127.0.0.1:%%PORT_8081%% http2;

        gzip on;
        gzip_min_length 1;
        gzip_types application/problem+json;

        location /plaid/ { idpay_pass plaid/; }
        location /dead/  { proxy_read_timeout 200ms; idpay_pass dead/; }
        location /slow/  {
            proxy_read_timeout 200ms;
            idpay_pass plaid/identity_verification/;
        }
        location /page/  {
            error_page 403 502 503 /page.html;
            proxy_intercept_errors on;
            idpay_pass plaid/;
        }
        location = /page.html { return 200 page; }
    }
}
CONF
$t->run;

my @type    = ([ 'Content-Type', 'application/json' ]);
my @members = qw(attempts code detail fault outcome provider request_id
    retryable status title type);
my $list = '/plaid/identity_verification/list';

# a call that may not be sent twice
my $retry = '/plaid/identity_verification/retry';


sub is_problem {
    my ($r, $name, %expected) = @_;

    subtest $name => sub {
        my $problem = eval { decode_json($r->body) };
        ok $problem, 'is JSON' or diag $r->raw;

        is_deeply [ sort keys %$problem ], \@members, 'the members';
        is $r->header('Content-Type'), 'application/problem+json', 'its type';
        is $r->header('Content-Length'), length $r->body, 'its length';
        is $r->status, $problem->{status}, 'its status';
        is $problem->{type}, "urn:idpay:problem:$expected{code}", 'the type';
        like $problem->{title},  qr/^[A-Z][^.]+$/, 'a title';
        like $problem->{detail}, qr/\w \w/,        'a sentence';
        is_deeply { map { $_ => $problem->{$_} } keys %expected },
            \%expected, 'what is told';

        like $problem->{request_id}, qr/^[0-9a-f]{32}$/, 'an id';

        # A line is written when the answer is gone.
        my $line = join ' ', map { $_ // '' } @$problem{qw(request_id status)};
        ok wait_until(20, sub { $t->read('id.log') =~ /^\Q$line\E /m }),
            'that is in the access log';
    };
    return;
}


is_problem($t->post('/plaid/item/get', '{}', headers => \@type),
    'a path', status => 403, code => 'request_rejected', provider => 'plaid',
    fault => 'caller', retryable => false, outcome => 'not_applied',
    attempts => 0, title => 'Request rejected by the gateway');
is_problem($t->post($list, '{"secret":1}', headers => \@type),
    'a body', status => 400, code => 'request_rejected', provider => 'plaid',
    fault => 'caller', retryable => false, outcome => 'not_applied',
    attempts => 0);
is_problem($t->get('/dead/x'),
    'no connection', status => 503, code => 'provider_unavailable',
    provider => 'dead', fault => 'provider', retryable => true,
    outcome => 'not_applied');

my %no_http = (
    'no HTTP'              => "no HTTP\r\n\r\n",
    'nothing like a status' => "HTTP/1.1 abc\r\n\r\n",
    'half of a head'       => "HTTP/1.1 200 OK\r\nContent-Le",
    'a NUL in the head'    => "HTTP/1.1 200 OK\r\nX: \0\r\n\r\n",
    'only an empty line' => "\r\n\r\n",
    'a head too long' => "HTTP/1.1 200 OK\r\nX: " . 'x' x 100_000 . "\r\n\r\n",
);
for my $name (sort keys %no_http) {
    $sim->behave->misbehave(raw => $no_http{$name});
    is_problem($t->post($retry, '{}', headers => \@type),
        $name, status => 502, code => 'provider_error', provider => 'plaid',
        fault => 'provider', retryable => false, outcome => 'unknown',
        attempts => 1);
}
$sim->behave->misbehave(delay_ms => 60_000, times => -1);
is_problem($t->post('/slow/retry', '{}', headers => \@type),
    'no answer', status => 504, code => 'provider_timeout',
    provider => 'plaid', fault => 'provider', retryable => false,
    outcome => 'unknown', attempts => 1);
$sim->behave;


for my $uri ('/plaid/item/get', '/dead/x') {
    my $get  = $t->get($uri);
    my $head = $t->http(HEAD => $uri);

    is $head->status, $get->status, "HEAD $uri";
    is $head->body, '', 'no body';
    is $head->header($_), $get->header($_), "the same $_"
        for qw(Content-Type Content-Length);
    is $t->get($uri, socket => $head->socket)->status, $get->status,
        'the connection goes on';

    # curl stumbles over an answer to a body that it is still sending, as it
    # does with nginx's own answers: POST only where the body was read.
    for my $method (qw(GET HEAD), $uri =~ /dead/ ? 'POST' : ()) {
        my @how = $method eq 'HEAD' ? '-I' : ('-X', $method, '-i');
        my $url = 'http://127.0.0.1:' . $t->port(8081) . $uri;
        open my $curl, '-|', qw(curl -s --http2-prior-knowledge --max-time 30),
            @how, $method eq 'POST' ? ('-d', '{}') : (), $url
            or die "curl: $!";
        my $all = do { local $/; <$curl> };

        my ($head2, $body) = split /\r\n\r\n/, $all, 2;
        like $head2, qr{^HTTP/2 @{[ $get->status ]}\b}, "HTTP/2 $method $uri";
        like $head2, qr{^content-type: application/problem\+json\r?$}mi, 'type';
        is $method eq 'HEAD' ? $body : eval { decode_json($body)->{status} },
            $method eq 'HEAD' ? '' : $get->status, 'and document';
    }
}


# Of these statuses nginx encodes this one.
my $zipped = $t->get('/plaid/item/get',
    headers => [ [ 'Accept-Encoding', 'gzip' ] ]);
is $zipped->header('Content-Encoding'), 'gzip', 'encoded';
is decode_json(memGunzip($zipped->body))->{code}, 'request_rejected',
    'the same document';


# A rejected call whose body was not read yet, and one after it.
for my $how (
    [ 'a body',         body => 'x' x 300_000 ],
    [ 'a chunked body', body => 'x' x 300_000, chunked => 1 ],
    [ 'no body' ],
    )
{
    my ($name, %opt) = @$how;
    my $r = $t->http(POST => '/plaid/item/get', headers => \@type, %opt);
    is $r->status, 403, "rejected, $name";
    is $r->json->{code}, 'request_rejected', 'its code';

    my $next = $t->post($list, '{"template_id":"t","client_user_id":"u"}',
        headers => \@type, socket => $r->socket);
    is $next->status, 200, 'the next one on the connection';
}
my $r = $t->post('/plaid/item/get', '',
    headers => [ @type, [ 'Content-Length', 10 ], [ Expect => '100-continue' ] ]);
is $r->status, 403, 'a caller that waits to be asked for its body';

my $pipeline = "GET /plaid/item/get HTTP/1.1\r\nHost: h\r\n\r\n";
my $socket = $t->http(GET => '', raw => $pipeline x 3, no_read => 1);
my %ids = map { $_->json->{request_id} => $_->status }
    map { $t->read_response($socket, 'GET') } 1 .. 3;
is_deeply [ values %ids ], [ (403) x 3 ], 'a pipeline, an id each';


is $t->get('/page/item/get')->json->{code}, 'request_rejected',
    'error_page does not replace it';

done_testing;
