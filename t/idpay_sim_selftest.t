#!/usr/bin/env perl

# The simulators themselves: each knows right credentials from wrong ones and
# keeps its state, the bytes of a request are recorded as they came, and each
# misbehaviour does what it says. So does the load driver, and the checks that
# end every test file find what they are for. No nginx here.

use strict;
use warnings;

use Digest::SHA  qw(sha256_hex);
use Idpay::Filler qw(filler);
use Idpay::Sim::Limit;
use List::Util   qw(sum0);
use MIME::Base64 qw(encode_base64);
use Mojo::JSON   qw(decode_json encode_json false true);
use Test::Idpay;
use Test::Idpay::Client qw(connect_to);
use Test::Idpay::Load    qw(begin_load load park);
use Test::Idpay::Logs    qw(alarms forms_of leaks sanitizer_reports);
use Test::Idpay::Process qw(wait_until);
use Test::Idpay::Upstream qw(upstream_block);
use Test::More;
use Time::HiRes ();

my $t = Test::Idpay->new;


sub call {
    my ($sim, $method, $uri, %opt) = @_;

    return $t->http(
        $method, $uri,
        port => $sim->port,
        ssl  => {
            SSL_ca_file         => $t->ca,
            SSL_hostname        => $sim->host,
            SSL_verifycn_name   => $sim->host,
            SSL_verifycn_scheme => 'http',
        },
        %opt
    );
}


sub basic {
    return [ Authorization => 'Basic ' . encode_base64(join(':', @_), '') ];
}


subtest 'certificates' => sub {
    my %why = (
        expired     => qr/certificate verify failed/,
        self_signed => qr/certificate verify failed/,
        unknown_ca  => qr/certificate verify failed/,
        other_name  => qr/hostname verification failed/,
    );

    for my $variant (sort keys %why) {
        my $sim = $t->sim('plusid', cert => $variant, name => $variant);
        my $r   = call($sim, GET => '/');

        like $r->error, $why{$variant}, "$variant is not trusted";
        is $sim->connections, 1, "$variant: the connection is counted";
        is $sim->bytes, 0, "$variant: no byte of a request";
        is_deeply $sim->requests, [], "$variant: nothing recorded";
        $sim->stop;
    }
};


subtest 'plusid' => sub {
    my $sim  = $t->sim('plusid');
    my $key  = $t->secret_value('plusid_api_key');
    my $call = sub {
        my ($method, $uri, $data) = @_;
        return call(
            $sim, $method, $uri,
            headers => [ [ 'X-API-Key', $key ] ],
            defined $data ? (body => encode_json($data)) : ()
        );
    };

    is call($sim, GET => '/v1/requests')->status, 401, 'no key';
    is call($sim, GET => '/v1/requests', headers => [ [ 'X-API-Key', 'no' ] ])
        ->status, 401, 'a wrong key';
    is call($sim, GET => '/v1/requests',
        headers => [ ([ 'X-API-Key', $key ]) x 2 ])->status, 401, 'a key twice';
    is $call->(GET => '/v1/requests')->status, 200, 'the right key';

    is $call->(POST => '/v1/requests', {})->status, 400, 'nothing asked for';
    is $call->(GET  => '/v1/requests/none')->status, 404, 'not there';

    my $pay = { pay => { totalGross => 100, preAuthorized => true } };
    my $id  = $call->(POST => '/v1/requests', $pay)->json->{id};
    my $uri = "/v1/requests/$id";

    is $call->(GET => $uri)->json->{status}, 'created', 'created';
    is $call->(PATCH => $uri, { pay => { totalGross => 90 } })->status, 409,
        'no update before it is authorized';
    is $sim->act(id => $id, do => 'authorize')->{status},
        'preAuthorizationDebited', 'authorized and debited';
    is $call->(PATCH => $uri, { pay => { totalGross => 101 } })->status, 402,
        'no more than authorized';
    is_deeply $call->(PATCH => $uri, { pay => { totalGross => 90 } })
        ->json->{history},
        [qw(created authorized preAuthorizationDebited payUpdated paid)],
        'updated and paid';
    is $call->(POST => "$uri/cancel", {})->status, 409, 'too late to cancel';

    $id = $call->(POST => '/v1/requests', $pay)->json->{id};
    $sim->act(id => $id, do => 'authorize');
    is_deeply $call->(POST => "/v1/requests/$id/cancel", {})->json->{history},
        [qw(created authorized preAuthorizationDebited
            preAuthorizationCancelled cancelled)], 'cancelled after the debit';

    $sim->expect(plusid_api_key => [ 'old', 'new' ]);
    is $call->(GET => '/v1/requests')->status, 401, 'the key was changed';
    is call($sim, GET => '/v1/requests', headers => [ [ 'X-API-Key', 'new' ] ])
        ->status, 200, 'one of two keys is right';
};


subtest 'passportreader' => sub {
    my $sim  = $t->sim('passportreader');
    my @pair = map { $t->secret_value($_) }
        qw(passportreader_public_key passportreader_secret);
    my $call = sub {
        my ($method, $body) = @_;
        return call($sim, POST => "/api/v1/session.$method",
            headers => [ basic(@pair) ], body => $body);
    };

    like $pair[0], qr/^public-key-\w{32}$/, 'prefix of the public key';
    like $pair[1], qr/^secret-\w{32}$/,     'prefix of the secret';

    my $r = call($sim, POST => '/api/v1/session.create');
    is $r->status, 401, 'no credential';
    like $r->header('WWW-Authenticate'), qr/Basic/, 'with a challenge';
    is call($sim, POST => '/api/v1/session.create',
        headers => [ basic(reverse @pair) ])->status, 401, 'swapped';
    is call($sim, POST => '/api/v1/session.create',
        headers => [ (basic(@pair)) x 2 ])->status, 401, 'twice';
    is call($sim, GET => '/api/v1/session.create',
        headers => [ basic(@pair) ])->status, 405, 'POST only';

    is $call->(create => undef)->status, 200, 'the body may be left out';
    $r = $call->(create => '{"reference":"r1","more":[1]}');
    my ($id) = $r->body =~ /"id":(\d+)/;
    ok $id > 2**53, 'an id beyond a double';

    $r = $call->(get => qq({"id":$id}));
    like $r->body, qr/"id":$id\b/, 'the id is exact';
    is $r->json->{reference}, 'r1', 'the session is kept';

    is $call->(state => qq({"id":$id}))->body, '{"state":"CREATED"}', 'state';
    $sim->act(id => $id, state => 'APPROVED');
    is $call->(state => qq({"id":$id}))->body, '{"state":"APPROVED"}',
        'approved';
    is $call->(get => qq({"id":$id}))->json->{surname}, 'ERIKSSON', 'person';

    $r = $call->(get => '{"id":1}');
    is $r->status, 404, 'not there';
    is_deeply $r->json,
        { error_message => 'No session found with id: 1',
        error_name => 'SessionNotFound' }, 'shape of the error';
    is $call->(get => '{}')->status, 400, 'no id';
    is $call->(get => '{"id":"1"}')->status, 400, 'an id of the wrong type';
    is $call->(get => '[]')->status, 400, 'no object';
    is $call->(none => '{}')->status, 404, 'no such method';
};


subtest 'plasmapay' => sub {
    my $sim  = $t->sim('plasmapay');
    my $key  = $t->secret_value('plasmapay_api_key');
    my $base = '/business/api/v1/public';
    my $call = sub {
        my ($method, $uri, $body) = @_;
        return call(
            $sim, $method, "$base$uri",
            headers => [ [ Authorization => "Bearer $key" ] ],
            defined $body ? (body => $body) : ()
        );
    };

    is call($sim, GET => "$base/ping")->status, 401, 'no key';
    is call($sim, GET => "$base/ping?apiKey=wrong")->status, 401, 'a wrong one';
    is call($sim, GET => "$base/ping?apiKey=$key")->status, 200, 'in the query';
    is $call->(GET => '/ping')->body, '{"message":"pong ;)"}', 'as a token';

    my $amount  = '12345678901234567.123456789012345678';
    my $invoice = qq({"currencyCode":"EURP","amount":$amount,"merchantId":"m1",)
        . '"description":"d","accountId":"a1"}';

    my $r = $call->(POST => '/invoices', $invoice);
    is $r->status, 200, 'created';
    is $r->json->{amount}, $amount, 'the amount is exact';
    my $id = $r->json->{extId};

    $call->(POST => '/invoices', $invoice) for 1 .. 2;
    is $call->(POST => '/invoices', '{"amount":"1"}')->status, 422,
        'incomplete';
    is $call->(POST => '/invoices', '{')->status, 400, 'malformed';

    $r = $call->(GET => '/invoices?limit=1&offset=1&status=new')->json;
    is scalar @{ $r->{result} }, 1, 'limit';
    is $r->{result}[0]{extId}, 'inv_00000002', 'offset';
    is_deeply $r->{meta}, { total => 3 }, 'total';

    is $call->(GET => "/invoices/$id")->json->{status}, 'new', 'one';
    is $call->(DELETE => "/invoices/$id")->json->{message},
        'Invoice successfully removed', 'deleted';
    is $call->(DELETE => "/invoices/$id")->status, 404, 'once only';
    is $call->(GET => '/invoices')->json->{meta}{total}, 2, 'fewer';
    is $call->(GET => '/invoices?status=deleted')->json->{meta}{total}, 1,
        'still known as deleted';
};


subtest 'plaid' => sub {
    my $sim  = $t->sim('plaid');
    my @keys = (
        [ 'PLAID-CLIENT-ID', $t->secret_value('plaid_client_id') ],
        [ 'PLAID-SECRET',    $t->secret_value('plaid_secret') ],
    );
    my @type = ([ 'Content-Type', 'application/json' ]);
    my $post = sub {
        my ($path, $data, @headers) = @_;
        return call(
            $sim, POST => $path,
            headers => \@headers,
            body    => ref $data ? encode_json($data) : $data
        );
    };
    my $call = sub {
        my ($verb, $data) = @_;
        return $post->("/identity_verification/$verb", $data, @keys, @type);
    };
    my $code_is = sub {
        my ($r, $status, $code, $name) = @_;
        is $r->status, $status, "$name: status";
        is $r->json->{error_code}, $code, "$name: code";
        like $r->json->{request_id}, qr/^\w{15}$/, "$name: request_id";
    };

    my $get = '/identity_verification/get';
    $code_is->($post->($get, {}, @type), 400, 'INVALID_API_KEYS', 'no keys');
    $code_is->($post->($get, {}, @type, @keys, $keys[1]),
        400, 'INVALID_API_KEYS', 'a key twice');
    $code_is->($post->($get, {}, @keys), 400, 'INVALID_HEADERS', 'no type');
    $code_is->($post->($get, '{', @keys, @type),
        400, 'INVALID_BODY', 'no JSON');
    $code_is->($call->(get => {}), 400, 'MISSING_FIELDS', 'no id');
    $code_is->($call->(none => {}), 404, 'NOT_FOUND', 'no endpoint');
    is $post->('/item/get', {}, @keys, @type)->status, 200, 'another product';

    my %user = (template_id => 'idvtmp_1', client_user_id => 'u1');
    my %new  = (%user, is_shareable => true, gave_consent => true);

    my $first = $call->(create => \%new)->json;
    like $first->{id}, qr/^idv_/, 'created';
    $code_is->($call->(create => \%new), 400, 'INVALID_FIELD', 'exists');

    my $again = $call->(create => { %new, is_idempotent => true })->json;
    is $again->{id}, $first->{id}, 'the existing one';
    isnt $again->{request_id}, $first->{request_id}, 'a request_id each';
    is $call->(get => { identity_verification_id => $first->{id} })
        ->json->{client_user_id}, 'u1', 'get';

    my $retry = $call->(retry => { %user, strategy => 'reset' })->json;
    is $retry->{previous_attempt_id}, $first->{id}, 'an attempt more';
    $call->(retry => { %user, strategy => 'reset' });

    my $page = $call->(list => \%user)->json;
    is scalar @{ $page->{identity_verifications} }, 2, 'a page';
    my $cursor = $page->{next_cursor};
    $page = $call->(list => { %user, cursor => $cursor })->json;
    is $page->{identity_verifications}[0]{id}, $first->{id}, 'the next page';
    is $page->{next_cursor}, undef, 'the last page';

    my $last = $sim->last_request;
    is_deeply [ $sim->header($last, 'Plaid-Version') ], [], 'no version seen';
};


my $sim = $t->sim('generic');

subtest 'records' => sub {
    my $body = join '', map {chr} 0 .. 255;
    my $head = "POST /a%20b?x=1&x=%32 HTTP/1.1\r\nhOST:  h\r\nX-a: 1\r\n"
        . "x-A: 2\r\nContent-Length: 256\r\n\r\n";

    call($sim, POST => '/', raw => $head . $body);
    my $seen = $sim->last_request;
    is $seen->{raw}, $head . $body, 'the exact bytes';
    is $seen->{body}, $body, 'the body';
    is $seen->{target}, '/a%20b?x=1&x=%32', 'the target';
    is_deeply $seen->{headers},
        [ [ hOST => 'h' ], [ 'X-a', 1 ], [ 'x-A', 2 ],
        [ 'Content-Length', 256 ] ], 'order and spelling';

    my $chunks = "PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
        . "3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nT: v\r\n\r\n";
    my $socket = call($sim, PUT => '/', raw => $chunks . $head . $body,
        no_read => 1);
    is $t->read_response($socket, 'PUT')->json->{method}, 'PUT', 'the first';
    is $t->read_response($socket, 'POST')->json->{method}, 'POST',
        'and the second of a pipeline';

    my ($put, $post) = @{ $sim->requests }[ -2, -1 ];
    is $put->{raw}, $chunks, 'chunks as they came';
    is $put->{body}, 'abcd', 'the body without them';
    is $post->{raw}, $head . $body, 'nothing of the other';
    is $put->{connection}, $post->{connection}, 'one connection';

    my $sent = 0;
    my $r    = call(
        $sim, POST => '/big',
        headers => [ [ 'Content-Length', 50_000_000 ] ],
        body    => sub { $sent++ < 50 ? 'x' x 1_000_000 : '' },
        timeout => 60
    );
    $seen = $sim->last_request;
    is $seen->{body_length}, 50_000_000, 'a big body is counted';
    is $seen->{body_sha256}, sha256_hex('x' x 50_000_000), 'and hashed';
    is $seen->{body}, undef, 'and not kept';

    # Half a request leaves a record that says so.
    $socket = connect_to($sim->port, ssl => 1);
    my $count = @{ $sim->requests };
    syswrite $socket, substr $head . $body, 0, -1;
    close $socket;
    $seen = $sim->wait_requests($count + 1)->[-1];
    is $seen->{complete}, 0, 'not complete';
    is length $seen->{body}, 255, 'what came of it';

    my $echo = call($sim, GET => '/__echo')->json;
    is $echo->{method}, 'GET', 'echo';

    $sim->clear;
    is_deeply $sim->requests, [], 'clear';
};


subtest 'expectation' => sub {
    $sim->expect(headers => { 'X-Key' => 'k' }, args => { token => 'a b' });

    is call($sim, GET => '/?token=a+b')->status, 401, 'a header is missing';
    is call($sim, GET => '/', headers => [ [ 'X-Key', 'k' ] ])->status, 401,
        'an argument is missing';
    is call($sim, GET => '/?token=a%20b', headers => [ [ 'X-Key', 'k' ] ])
        ->status, 200, 'both';

    $sim->expect(headers => undef, args => undef);
};


subtest 'bytes' => sub {
    my $size = 3_000_000;
    my $r    = call($sim, GET => "/__bytes/$size");
    ok $r->body eq filler(0, $size), 'the whole';
    ok $r->complete, 'complete';

    my $range = sub {
        return call($sim, GET => '/__bytes/100000',
            headers => [ [ Range => "bytes=$_[0]" ] ]);
    };
    $r = $range->('70000-70009');
    is $r->status, 206, 'a part';
    is $r->header('Content-Range'), 'bytes 70000-70009/100000', 'its range';
    ok $r->body eq filler(70_000, 10), 'its bytes';
    ok $range->('99990-')->body eq filler(99_990, 10), 'from an offset';
    ok $range->('-5')->body eq filler(99_995,     5),  'the last ones';
    is $range->('100000-')->status, 416, 'beyond the end';

    $r = call($sim, HEAD => '/__bytes/100000');
    is $r->header('Content-Length'), 100_000, 'HEAD tells the length';
    is $r->body, '', 'and sends nothing';

    $r = call($sim, GET => '/__bytes/100000',
        headers => [ [ 'If-None-Match', $r->header('ETag') ] ]);
    is $r->status, 304, 'not modified';
    is $r->body, '', 'no body';
};


subtest 'misbehaviour' => sub {
    my $how = sub {
        $sim->behave->misbehave(@_);
        return call($sim, GET => '/x');
    };
    my $r = $how->(status => 503, body => "d\0wn", headers => [ [ 'X-H', 1 ] ]);
    is $r->status, 503, 'status';
    is $r->body, "d\0wn", 'body';
    is $r->header('X-H'), 1, 'header';
    is call($sim, GET => '/x')->status, 200, 'once only';

    $r = $how->(json => { a => 1 }, status => 400);
    is_deeply $r->json, { a => 1 }, 'JSON';
    is $r->header('Content-Type'), 'application/json', 'and its type';

    $r = $how->(retry_after => 7);
    is $r->status, 429, 'too many';
    is $r->header('Retry-After'), 7, 'Retry-After';

    $r = $how->(headers => [ [ 'Set-Cookie', 'c=1' ] ]);
    is $r->status, 200, 'its own answer';
    is $r->header('Set-Cookie'), 'c=1', 'with a header more';

    $how->(match => qr{^/y}, status => 500, times => -1);
    is $sim->last_request->{target}, '/x', 'recorded though';
    is call($sim, GET => '/x')->status, 200, 'no match';
    is call($sim, GET => "/y$_")->status, 500, 'a match' for 1 .. 2;

    $r = $how->(status => 204);
    is $r->status . $r->body, '204', 'no content';
    is $r->header('Content-Length'), undef, 'no length';

    my $start = time;
    $r = $how->(delay_ms => 1100);
    is $r->status, 200, 'its own answer, later';
    ok time - $start >= 1, 'delayed';

    $r = $how->(reset => 'before_header');
    is_deeply [ $r->status, $r->error ], [ 0, 'reset' ], 'reset at once';
    $r = $how->(reset => 'mid_body', body => 'x' x 1000);
    is_deeply [ $r->status, $r->error, $r->length ], [ 200, 'reset', 500 ],
        'reset in the body';

    $r = $how->(truncate => 'mid_body', body => 'x' x 1000);
    is_deeply [ $r->status, $r->error, $r->length, $r->complete ],
        [ 200, 'closed', 500, 0 ], 'truncated';
    is $r->header('Content-Length'), 1000, 'more was promised';
    $r = $how->(truncate => 'mid_body', body => 'x' x 1000, chunked => 1);
    is_deeply [ $r->error, $r->length ], [ 'closed', 500 ], 'chunked too';

    $r = $how->(close => 'no_answer');
    is_deeply [ $r->status, $r->error ], [ 0, 'closed' ], 'no answer';
    $r = $how->(close => 'after_answer');
    is $r->status, 200, 'an answer';
    is $r->header('Connection'), undef, 'that does not tell of the close';
    is $t->read_response($r->socket)->error, 'closed', 'which comes';

    $r = $how->(chunked => 1, body => 'abc');
    is $r->header('Transfer-Encoding'), 'chunked', 'chunked';
    is $r->body, 'abc', 'the body of it';

    $r = $how->(body_size => 200_000);
    ok $r->body eq filler(0, 200_000), 'a big body';

    $start = Time::HiRes::time();
    $r     = $how->(trickle_ms => 2, status => 200, body => 'x' x 20);
    is $r->body, 'x' x 20, 'byte by byte';
    ok Time::HiRes::time() - $start > 0.002 * length $r->raw, 'slowly';

    my $raw = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        . "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    $r = $how->(raw => $raw);
    is $r->body, 'ok', 'exact bytes';
    is_deeply [ map { $_->status } $r->interim ], [103], 'an interim answer';
    is $t->read_response($r->socket)->error, 'closed', 'then closed';
    $r = $how->(raw => $raw, keep => 1);
    is call($sim, GET => '/', socket => $r->socket)->status, 200, 'or kept';
    is $how->(raw => "no HTTP\r\n\r\n")->error, 'no HTTP', 'no HTTP';

    $sim->behave;
};


subtest 'endless' => sub {
    my $got = 0;
    $sim->behave->misbehave(endless => 1);

    my $r = eval {
        call($sim, GET => '/', sink => sub {
            $got += length $_[0];
            die "enough\n" if $got > 5_000_000;
        });
    };
    is $@, "enough\n", 'it does not end';

    my $closed = wait_until(20, sub { $sim->open_connections == 0 });
    ok $closed, 'it ends with the peer';
};


subtest 'early answer' => sub {
    $sim->behave->misbehave(early => 1, status => 413, body => 'no');

    my $r = call(
        $sim, POST => '/',
        headers => [ [ 'Content-Length', 20_000_000 ] ],
        body    => do { my $n = 0; sub { $n++ < 20 ? 'x' x 1_000_000 : '' } }
    );
    is $r->status, 413, 'before the body was there';
    ok $sim->last_request->{body_length} < 20_000_000, 'and recorded then';
};


subtest 'limits' => sub {
    # the time of a call, and whether there is room for it
    my %calls = (
        sliding => [ [ 5, 1 ], [ 5.5, 1 ], [ 5.75, 0 ], [ 6, 1 ], [ 6.25, 0 ],
            [ 6.5, 1 ] ],
        fixed => [ [ 5.5, 1 ], [ 5.5, 1 ], [ 5.75, 0 ], [ 6, 1 ], [ 6.25, 1 ],
            [ 6.5, 0 ] ],
        bucket => [ [ 5, 1 ], [ 5, 1 ], [ 5.25, 0 ], [ 5.5, 1 ], [ 9, 1 ],
            [ 9, 1 ], [ 9.25, 0 ] ],
    );

    for my $window (sort keys %calls) {
        my $limit = Idpay::Sim::Limit->new(rate => 2, window => $window);
        my $calls = $calls{$window};

        is_deeply [ map { [ $_->[0], $limit->admit($_->[0]) ] } @$calls ],
            $calls, $window;
        is $limit->refused, grep({ !$_->[1] } @$calls), 'the refused ones';
        is $limit->accepted, grep({ $_->[1] } @$calls), 'and the others';
    }

    my $too_many = sub {
        my (%how) = @_;
        $sim->behave->misbehave(status => 500)->limit(rate => 2, %how);
        my @r = map { call($sim, GET => '/') } 1 .. 3;
        is_deeply [ map { $_->status } @r ], [ 500, 200, 429 ], 'one too many';
        is_deeply $sim->limited, { accepted => 2, refused => 1 }, 'counted';
        return @r[ 0, 2 ];
    };
    my ($first, $last) = $too_many->();
    is $last->json->{code}, 'rate_limited', 'the reason';
    is $last->header('Retry-After'), undef, 'not when there is room';

    ($first, $last) = $too_many->(retry_after => 1, headers => 'ratelimit');
    is $last->header('Retry-After'), 1, 'when there is room';
    is $first->header('RateLimit-Policy'), '"default";q=2;w=1', 'the quota';
    is $first->header('RateLimit'), '"default";r=1;t=1', 'what is left';
    is $last->header('RateLimit'), '"default";r=0;t=1', 'nothing is left';

    ($first, $last) = $too_many->(headers => 'x-ratelimit');
    is_deeply [ map { $first->header("X-RateLimit-$_") }
            qw(Limit Remaining Reset) ], [ 2, 1, 1 ], 'of another spelling';

    eval { $sim->limit(rate => 2, window => 'none') };
    like $@, qr/no such window/, 'a limit that it cannot keep';
    is call($sim->limit, GET => '/')->status, 200, 'none any more';
};


subtest 'chance' => sub {
    my $socket = call($sim, GET => '/')->socket;
    my $run    = sub {
        $sim->behave;
        $sim->misbehave(times => -1, chance => $_->[0], status => $_->[1])
            for [ 0.3, 500 ], [ 0.5, 503 ];
        return map { $t->get('/', socket => $socket)->status } 1 .. 300;
    };
    my @status = $run->();
    my %times;
    $times{$_}++ for @status;

    cmp_ok abs($times{500} - 90),  '<', 30, 'a third';
    cmp_ok abs($times{503} - 105), '<', 30, 'half of the others';
    is_deeply [ $run->() ], \@status, 'each run is the same';
    $sim->behave;
};


subtest 'counts' => sub {
    my $post = sub {
        my ($order, $body) = @_;
        return call($sim, POST => '/', body => $body,
            headers => [ [ 'X-Order', $order ] ]);
    };
    $sim->clear->record(0);
    is_deeply $sim->count_by('X-Order'), {}, 'from now on';
    $sim->count_by(member => 'id');

    $sim->misbehave(reset => 'before_header');
    is $post->(1, '{"id":"a"}')->error, 'reset', 'a call that is lost';
    $post->(1, '{"id":"a"}');
    $post->(2, '{"id":7}');
    $post->(3, '[]');
    call($sim, GET => '/');
    close call($sim, POST => '/', no_read => 1, headers =>
            [ [ 'X-Order', 4 ], [ 'Content-Length', 9 ] ]);

    ok wait_until(20, sub { 6 == sum0 map { $_->[1] } @{ $sim->series } }),
        'the series has every request';
    is $sim->series->[0][0], 0, 'from the first';
    is_deeply $sim->count_by('x-order'), {}, 'a name that is new';
    is_deeply $sim->count_by('X-Order'), { 1 => 2, 2 => 1, 3 => 1 },
        'of a header, of requests that were whole';
    is_deeply $sim->count_by(member => 'id'), { a => 2, 7 => 1 },
        'of a member';
    is_deeply $sim->requests, [], 'none is recorded';

    $sim->clear->record(1);
    is_deeply [ $sim->series, $sim->count_by('X-Order') ], [ [], {} ], 'clear';
};


my $plain = $t->sim('generic', tls => 0, name => 'loaded')->record(0);

$t->measured('load' => sub {
    my $before = $plain->connections;
    my $load   = sub {
        $plain->clear->count_by('X-Order');
        return load($t, port => $plain->port, @_,
            headers => sub { [ [ 'X-Order', shift ] ] });
    };
    my $seen = sub { scalar keys %{ $plain->count_by('X-Order') } };

    my $r = $load->(callers => 8, seconds => 0.5);
    is_deeply $r->{status}, { 200 => $r->{calls} }, 'callers: all answered';
    is_deeply $r->{errors}, {}, 'no errors';
    is $seen->(), $r->{calls}, 'each call once';
    is $plain->connections - $before, 8, 'over kept connections';
    cmp_ok $r->{p50}, '>', 0, 'it took time';
    cmp_ok $r->{p99}, '>=', $r->{p50}, 'some longer';

    $plain->misbehave(times => -1, delay_ms => 300);
    $r = $load->(rate => 100, seconds => 0.5);
    is_deeply $r->{status}, { 200 => 50 }, 'rate: as many as were asked for';
    cmp_ok $r->{p50}, '>=', 300, 'they are late';
    cmp_ok scalar @{ $plain->series }, '<', 20,
        'and do not wait for each other';

    my %kind = (
        HEAD       => [ {}, method => 'HEAD', uri => '/__bytes/9' ],
        POST       => [ {}, method => 'POST', body => sub { 'x' x shift } ],
        chunked    => [ { chunked => 1, body_size => 150_000 } ],
        long       => [ { body_size => 300_000 } ],
        closed     => [ { close => 'after_answer' } ],
        'HTTP/1.0' => [ { raw => "HTTP/1.0 200 OK\r\n\r\nx" } ],
        interim    => [ { raw => "HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK"
                    . "\r\nContent-Length: 1\r\n\r\nx", keep => 1 } ],
    );
    for my $name (sort keys %kind) {
        my ($rule, @how) = @{ $kind{$name} };
        $plain->behave;
        $plain->misbehave(times => -1, %$rule) if %$rule;
        $r = $load->(rate => 40, seconds => 0.2, @how);
        is_deeply [ @$r{qw(status errors)} ], [ { 200 => 8 }, {} ], $name
            or diag encode_json($r);
    }

    $plain->behave;
    $plain->misbehave(%$_) for { reset => 'before_header' },
        { close => 'no_answer' }, { raw => "no HTTP\r\n\r\n" },
        { truncate => 'mid_body', body => 'xx' }, { delay_ms => 60_000 };
    $r = $load->(rate => 20, seconds => 0.5, timeout => 0.5);
    is_deeply $r->{errors},
        { reset => 1, closed => 2, 'no HTTP' => 1, timeout => 1 }, 'errors';
    is $r->{status}{200}, 5, 'and answers';

    $plain->behave->misbehave(times => -1, reset => 'before_header');
    $r = $load->(callers => 4, seconds => 0.3);
    cmp_ok $r->{calls}, '<', 50, 'a caller that fails does not spin';

    $plain->behave->clear->count_by('X-Order');
    my $going = begin_load($t, port => $plain->port, rate => 100,
        seconds => 0.5);
    is $t->get('/', port => $plain->port)->status, 200, 'meanwhile a call';
    is $going->result->{calls}, 50, 'and the load goes on';

    $plain->misbehave(times => -1, delay_ms => 300);
    my @parked = park($t, 30, port => $plain->port,
        headers => sub { [ [ 'X-Order', shift ] ] });
    ok wait_until(20, sub { $seen->() == 30 }), 'parked';
    is_deeply [ map { $t->read_response($_)->status } @parked ],
        [ (200) x 30 ], 'and answered in the end';
});


subtest 'plain' => sub {
    my $plain = $t->sim('generic', tls => 0, name => 'plain');

    is $t->get('/', port => $plain->port)->status, 200, 'without TLS';
    my $r = $t->get('/', port => $plain->port,
        headers => [ [ Connection => 'close' ] ]);
    is $r->header('Connection'), 'close', 'closes when asked to';
    is $plain->connections, 2, 'two connections';

    my $one = $t->get('/', port => $plain->port);
    $t->get('/', socket => $one->socket) for 1 .. 200;
    is $plain->connections, 3, 'kept alive';
};


subtest 'upstream blocks' => sub {
    my $block = sub {
        my ($name, $provider, %opt) = @_;
        my $sim = $t->sim($provider, name => $name, %opt);
        return (upstream_block($sim, sub {"/$_[0]"}), $sim->address);
    };

    my ($text, $address) = $block->('bare', 'plaid', tls => 0);
    is $text, <<"CONF" =~ s/\n\z//r, 'of two secrets, without TLS';
upstream bare {
        server          $address;
        keepalive       8;
        idpay_provider  plaid;
        idpay_tls       off;
        idpay_host      plaid.test;
        idpay_secret    client_id file:/plaid_client_id;
        idpay_secret    secret file:/plaid_secret;
        idpay_rate      off;
        idpay_adaptive  off;
        idpay_retry     off;
        idpay_breaker   off;
    }
CONF

    ($text) = $block->('any', 'generic');
    unlike $text, qr/idpay_tls/, 'with TLS';
    like $text, qr{idpay_auth +header X-Key;\n +idpay_secret +key file:/key;},
        'of a generic provider';

    ($text) = $block->('tried', 'plusid', limits => 'idpay_retry tries=2;');
    like $text, qr/key;\n {8}idpay_retry tries=2;\n {4}\}\z/, 'with limits';
    ($text) = $block->('default', 'plusid', limits => '');
    unlike $text, qr/idpay_(?:rate|adaptive|retry|breaker)/, 'with none';
};


subtest 'what must not stand in a log' => sub {
    my @forms = forms_of('s3cret/+ value');
    my $in    = sub { return scalar leaks("a line\n$_[0]\n", @forms) };

    is_deeply [ leaks("a\nb s3cret/+ value c\n", @forms) ], [2], 'as it is';
    ok $in->('k=s3cret%2F%2B%20value'), 'percent-encoded';
    ok $in->('k=s3cret%2f%2b%20value'), 'in lower case';
    for my $user ('', 'u', 'us', 'use', 'user') {
        my $basic = encode_base64("$user:s3cret/+ value", '');
        ok $in->("Basic $basic"), "base64 after $user:";
        $basic = encode_base64("$user:s3cret/+ value:more", '');
        ok $in->("Basic $basic"), "and with something behind";
    }
    ok !$in->('s3cret'), 'nothing else';
    is_deeply [ forms_of('a') ], [], 'nothing that is everywhere';

    is scalar alarms(join "\n", map {"1970 [$_] 1#1: x"}
            qw(emerg alert crit error warn notice info debug)), 3, 'alarms';
    is scalar sanitizer_reports(join "\n",
        '==12==ERROR: AddressSanitizer: heap-use-after-free',
        'SUMMARY: LeakSanitizer: 8 byte(s) leaked',
        'a.c:1:2: runtime error: signed integer overflow',
        '==12== Invalid read of size 8',
        '==12== ERROR SUMMARY: 0 errors from 0 contexts',
        'fine'), 4, 'sanitizer and valgrind reports';
};


done_testing;
