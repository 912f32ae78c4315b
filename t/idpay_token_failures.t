#!/usr/bin/env perl

# A provider that gives no token: what the callers are told, how often it is
# asked again, and that nothing else waits for it. With IDPAY_RENEWAL=1 also a
# renewal that fails, which takes a minute: no token is taken to live for less.

use strict;
use warnings;

use IO::Socket::IP;
use List::Util qw(max);
use Test::Idpay;
use Test::Idpay::Gopay   qw(token_requests forget_requests prefill $prefill);
use Test::Idpay::Load    qw(park under_way);
use Test::Idpay::Process qw(wait_until);
use Test::More;
use Time::HiRes qw(sleep time);

# A token request may take 10 s, TLS 5 s of it.
use constant { HANGS => 10, HANDSHAKE => 5 };

my $t     = Test::Idpay->new;
my $sim   = $t->sim('gopay');
my %other = map { $_ => $t->sim('gopay', name => $_) } qw(silent dripping);
my %cert  = map { $_ => $t->sim('gopay', name => $_, cert => $_) }
    qw(expired self_signed other_name unknown_ca);
my $plusid = $t->sim('plusid');

# It is connected to, and never says a word.
my $mute = IO::Socket::IP->new(
    LocalAddr => '127.0.0.1', Listen => 10, Proto => 'tcp')
    or die "listen: $@";

my $login = '/v1/auth/login/app';


sub answer {
    my ($status, $body, @headers) = @_;
    return (status => $status, body => $body, headers => [@headers]);
}


sub json_answer {
    my ($status, $json, @headers) = @_;
    return answer($status, $json, [ 'Content-Type', 'application/json' ],
        @headers);
}


sub raw { return (raw => "HTTP/1.1 $_[0]") }


my $good = $t->canary('token-that-would-be-good');

# [what, rule of the simulator]. Whoever sends the same request again gets the
# same answer to it.
my @refused = (
    [ 'a 401',  status => 401 ],
    [ 'a 401 with a code', json_answer(401, '{"error":"invalid_client"}') ],
    [ 'a 400',  status => 400 ],
    [ 'a 400, invalid_client', json_answer(400, '{"error":"invalid_client"}') ],
    [ 'a 400, invalid_grant',  json_answer(400, '{"error":"invalid_grant"}') ],
    [ 'a 403 with a code',
        json_answer(403, '{"error":"unauthorized_client"}') ],
    [ 'a 409', status => 409 ],
    [ 'a 422', status => 422 ],
);

my @failed = (
    [ 'a 400, server_error', json_answer(400, '{"error":"server_error"}') ],
    [ 'a 403 of a firewall', answer(403, '<html>no</html>') ],
    [ 'a 403',               status => 403 ],
    [ 'a 404',               status => 404 ],
    [ 'a 429',               status => 429 ],
    [ 'a 500',               status => 500 ],
    [ 'a 500 with a token', json_answer(500, qq({"accessToken":"$good"})) ],
    [ 'a 503',               status => 503 ],
    [ 'a redirect',
        answer(302, '', [ Location => "https://gopay.test$login" ]) ],
    [ 'a 204',                status => 204 ],
    [ 'no body',              answer(200, '') ],
    [ 'no JSON',              answer(200, "<html>$good</html>") ],
    [ 'half a JSON',    json_answer(200, qq({"accessToken":"$good")) ],
    [ 'no object',      json_answer(200, qq(["accessToken","$good"])) ],
    [ 'an empty object',      json_answer(200, '{}') ],
    [ 'another member', json_answer(200, qq({"access_token":"$good"})) ],
    [ 'another case',   json_answer(200, qq({"accesstoken":"$good"})) ],
    [ 'a deeper member',
        json_answer(200, qq({"data":{"accessToken":"$good"}})) ],
    (map { [ "a token $_", json_answer(200, qq({"accessToken":$_})) ] }
        '""', 'null', 'false', '{}', '["a"]', qq("$good two"),
        qq("$good\\u0001"), qq("$good\\u0000"), qq("$good\\r\\nX-Evil: 1"),
        qq("$good\\u00e9"), qq("$good\\u007f")),
    [ 'a token too long',
        json_answer(200, '{"accessToken":"' . 't' x 8193 . '"}') ],
    [ 'a MAC token',
        json_answer(200, qq({"accessToken":"$good","token_type":"mac"})) ],
    [ 'a body of 100 KB', json_answer(200,
        qq({"accessToken":"$good","more":") . 'm' x 100_000 . '"}') ],
    [ 'a header of 100 KB', json_answer(200, qq({"accessToken":"$good"}),
        [ 'X-Long', 'x' x 100_000 ]) ],
    [ 'a connection closed before the answer', close => 'no_answer' ],
    [ 'a connection reset before the answer',  reset => 'before_header' ],
    [ 'a connection closed within it',         truncate => 'mid_body' ],
    [ 'a connection reset within it',          reset => 'mid_body' ],
    [ 'half a head', raw('200 OK' . "\r\nContent-Ty") ],
    [ 'half a body',
        raw("200 OK\r\nContent-Length: 999\r\n\r\n"
            . qq({"accessToken":"$good"})) ],
    [ 'an unfinished chunk',
        raw("200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n"
            . qq({"accessToken":"$good"})) ],
    [ 'nothing final', raw("100 Continue\r\n\r\n") ],
    [ 'no HTTP',       raw => "220 smtp.test ESMTP\r\n" ],
);

# One provider for each, so that none waits for the back-off of another one.
my @cases = (
    (map { [ @$_, 'refused' ] } @refused), (map { [ @$_, 'failed' ] } @failed));
my %servers = (
    (map { ("case$_" => '%%SIM_gopay%%') } 0 .. $#cases),
    (map { ($_ => "%%SIM_$_%%") } keys %cert, keys %other),
    (map { ($_ => '%%SIM_gopay%%') }
        qw(again asked busy gone hang later reloaded renewed short shorter
            spent)),
    refusing => '127.0.0.1:%%PORT_1%%',
    mute     => '127.0.0.1:' . $mute->sockport,
);


sub upstream {
    my $name = shift;

    return <<"CONF";
    upstream $name {
        server          $servers{$name};
        keepalive       4;
        idpay_provider  gopay;
        idpay_host      gopay.test;
        idpay_secret    client_id     file:%%SECRET_gopay_client_id%%;
        idpay_secret    client_secret file:%%SECRET_gopay_client_secret%%;
        %%UNLIMITED%%
    }
CONF
}


$t->config(<<'CONF'
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    log_format token '$uri $status $idpay_attempts $idpay_outcome $idpay_wait '
                     '$idpay_credential';
    access_log %%TESTDIR%%/token.log token;

    idpay_trusted_certificate %%CA%%;
CONF
    . join('', map { upstream($_) } sort keys %servers) . <<'CONF'
    %%UPSTREAM_plusid%%
    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /plusid/  { idpay_pass plusid/; }
        location /limited/ { idpay_pass shorter/; idpay_timeout 1s; }
        location /other    { return 204; }
        location /calls    { access_log off; stub_status; }
CONF
    . join('', map {"        location /$_/ { idpay_pass $_/; }\n"}
        sort keys %servers) . "    }\n}\n");
$t->run;


sub call { return prefill($t, uri => "/$_[0]$prefill", @_[ 1 .. $#_ ]) }


# Calls of a provider that were begun: sockets.
sub begin {
    my ($name, $n, %opt) = @_;

    return park($t, $n, method => 'POST', uri => "/$name$prefill",
        body => '{"firstName":"A"}',
        headers => [ [ 'Content-Type' => 'application/json' ],
            @{ $opt{headers} // [] } ]);
}


sub statuses {
    my %n;
    $n{ $t->read_response($_)->status }++ for @_;
    return \%n;
}


# The first line of the log that is of a provider. It is written after the
# answer.
sub logged {
    my $name = shift;

    return wait_until(20, sub {
        my ($line) = grep {m{^/$name/}} split /\n/, $t->read('token.log');
        return $line;
    }) // '';
}


# What was asked of the provider: ['login', 'prefill', ...].
sub asked {
    my $of = shift // $sim;
    return [ map { $_->{target} =~ m{/login/app$} ? 'login'
            : $_->{target} =~ /prefill/ ? 'prefill' : $_->{target} }
            @{ $of->requests } ];
}


my %told = (
    failed => [ 503, 'credential_unavailable', 'credential', 1, 'not_applied',
        0, undef ],
    refused => [ 502, 'credential_rejected', 'credential', 0, 'not_applied',
        0, undef ],
);


sub is_told {
    my ($r, $what, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $p = $r->json;
    is_deeply [ $r->status, $p->{code}, $p->{fault},
        $p->{retryable} ? 1 : 0, @$p{qw(outcome attempts provider_status)} ],
        $told{$what}, $name
        or diag $r->raw, $r->body;

    my $after = $r->header('Retry-After');
    is $p->{retry_after}, $after, "$name: one Retry-After";
    ok $what eq 'failed' ? ($after // 0) >= 1 : !defined $after,
        "$name: which is as it should be" or diag $after // 'none';
    return;
}


# Those that take their time do so meanwhile.
$other{silent}->misbehave(match => $login, delay_ms => 600_000, times => -1);
$other{dripping}->misbehave(match => $login, trickle_ms => 400, times => -1);
my %slow = map { $_ => begin($_, 1) } qw(silent dripping mute);


subtest 'answers without a token' => sub {
    for my $n (0 .. $#cases) {
        my ($name, @rule) = @{ $cases[$n] };
        my $what = pop @rule;

        $sim->behave->clear->misbehave(match => $login, times => -1, @rule);
        is_told(call("case$n"), $what, $name);
        is_told(call("case$n"), $what, "$name, again") if $what eq 'failed';
        is_deeply asked(), ['login'], "$name: one request, no call"
            or diag explain asked();
    }
    $sim->behave;
    my $log = 'no token of "case1": the provider answered 401, invalid_client';
    $t->expect_log(qr/\[error\].* idpay: $log$/, 'the log says so');
    like logged('case0'), qr{ 502 0 not_applied \d+\.\d{3} \S+$},
        'the access log too';
};


subtest 'nobody there, or somebody else' => sub {
    for my $name (sort keys %cert) {
        is_told(call($name), 'failed', "a certificate: $name");
        is $cert{$name}->bytes, 0, "$name: nothing was said to it";
    }
    is_told(call('refusing'), 'failed', 'a refused connection');
    $t->expect_log(qr/\[error\].* no token of "refusing": /,
        'the log says so');
    $t->expect_log(qr/\[error\].* no token of "expired": .*expired/,
        'and of the certificate what is wrong');
};


subtest 'Retry-After of the token endpoint' => sub {
    $sim->clear->misbehave(match => $login, retry_after => 100);
    my $r = call('later');
    is_told($r, 'failed', 'a 429');
    my $after = $r->header('Retry-After');
    ok $after > 60 && $after <= 100, 'it is handed on' or diag $after;

    is_told(call('later'), 'failed', 'the next one');
    is_deeply asked(), ['login'], 'which asked nobody';
};


# A step is at least as long as it is said to be, on any machine.
subtest 'the back-off' => sub {
    forget_requests($sim);
    $sim->behave->clear->misbehave(match => $login, status => 500, times => -1);

    my ($calls, $longest, @bad) = (0, 0);
    my $four = wait_until(40, sub {
        my $r = call('again');
        $calls++;
        push @bad, $r->body if $r->status != 503;
        $longest = max $longest, $r->header('Retry-After') // 99;
        sleep 0.03;
        return @{ asked() } >= 4;
    });
    my @requests = @{ $sim->act(do => 'report')->{requests} };
    my @steps    = map { $requests[ $_ + 1 ]{began} - $requests[$_]{ended} }
        0 .. 2;

    ok $four, 'it is asked again and again';
    is_deeply \@bad, [], 'each caller is told';
    ok $longest <= 8, 'to wait for a step at most' or diag $longest;
    ok $steps[0] >= 0.9 && $steps[1] >= 1.9 && $steps[2] >= 3.9,
        'after 1 s, 2 s, 4 s' or diag "@steps";
    cmp_ok $calls, '>=', 8, 'of many calls' or diag $calls;
    is_deeply [ grep { $_ ne 'login' } @{ asked() } ], [], 'no call was made';
};


subtest 'nothing else waits' => sub {
    $sim->behave;
    is call('busy')->status, 200, 'a provider has its token';
    $sim->clear->misbehave(match => $login, hold => 1);
    my @calls = begin('hang', 3);
    ok wait_until(20, sub { @{ asked() } == 1 }), 'it is asked';

    for (1 .. 5) {
        is $t->get('/other')->status, 204, 'nginx answers';
        is $t->get('/plusid/v1/requests/none')->status, 404,
            'another provider does';
        is call('busy')->status, 200, 'that one does';
    }
    is_deeply [ grep { $_ eq 'login' } @{ asked() } ], ['login'],
        'it has not answered yet';
    $sim->release;
    is_deeply statuses(@calls), { 200 => 3 }, 'then it does';
};


subtest 'callers with less time' => sub {
    for (
        [ 'short', '/short', [ Prefer => 'wait=1' ] ],
        [ 'shorter', '/limited' ],
        )
    {
        my ($name, $at, @headers) = @$_;

        $sim->behave->clear->misbehave(match => $login, hold => 1);
        my ($patient) = begin($name, 1);
        ok wait_until(20, sub { @{ asked() } == 1 }), "$at: it is asked";

        my $since = time;
        my $r = prefill($t, uri => $at . $prefill,
            headers => [ [ 'Content-Type' => 'application/json' ], @headers ]);
        my $took = time - $since;
        is_told($r, 'failed', $at);
        ok $took >= 0.9 && $took < HANGS - 2, "$at: when it is time"
            or diag $took;
        $sim->release;

        is $t->read_response($patient)->status, 200, "$at: another one waits";
        is_deeply asked(), [qw(login prefill)], "$at: one token, one call";
    }
};


subtest 'answers that take too long' => sub {
    for my $name (sort keys %slow) {
        is_told($t->read_response($slow{$name}), 'failed', $name);
        my ($wait) = logged($name) =~ / 503 0 not_applied (\S+) /;
        my $least  = $name eq 'mute' ? HANDSHAKE : HANGS;
        ok $wait && $wait >= $least - 0.1 && $wait < $least + 4,
            "$name: when it is time"
            or diag $wait // 'not logged';
    }
    is_deeply asked($other{$_}), ['login'], "$_: one request"
        for sort keys %other;
};


subtest 'the provider is well again' => sub {
    $sim->behave->clear->misbehave(match => $login, status => 500, hold => 1);
    my @calls = begin('asked', 20);
    ok wait_until(20, sub { @{ asked() } == 1 }), 'it is asked';
    ok under_way($t, 20), 'all wait';
    $sim->release;

    is_deeply statuses(@calls), { 503 => 20 }, 'all are told';
    is_deeply asked(), ['login'], 'after one request';

    my $r;
    ok wait_until(20, sub {
        $r = call('asked');
        sleep 0.02;
        $r->status == 200;
    }), 'calls pass again';
    is_deeply asked(), [qw(login login prefill)], 'after one more request';
};


subtest 'callers that hang up' => sub {
    $sim->behave->clear->misbehave(match => $login, hold => 1);
    my @calls = begin('gone', 5);
    ok under_way($t, 5), 'all wait';
    ok wait_until(20, sub { @{ asked() } == 1 }), 'one request is made';

    close $_ for splice @calls, 0, 3;
    ok under_way($t, 2), 'three hang up';
    $sim->release;

    is_deeply statuses(@calls), { 200 => 2 }, 'the others pass';
    is_deeply asked(), [qw(login prefill prefill)], 'with one token';

    # the one who has begun it, too
    forget_requests($sim);
    $sim->act(do => 'expire', kind => 'application');
    $sim->behave->clear->misbehave(match => $login, hold => 1);
    my ($alone) = begin('gone', 1);
    ok wait_until(20, sub { token_requests($sim)->{application} }),
        'a new token is got for a caller';
    close $alone;
    ok under_way($t, 0), 'who hangs up';
    $sim->release;
    is call('gone')->status, 200, 'the next one passes';
    is_deeply token_requests($sim), { application => { ok => 1 } },
        'with that token';
};


subtest 'a reload' => sub {
    $sim->behave->clear->misbehave(match => $login, hold => 1);
    my @calls = begin('reloaded', 10);
    ok under_way($t, 10), 'all wait';
    ok wait_until(20, sub { @{ asked() } == 1 }), 'one request is made';

    $t->reload;
    push @calls, begin('reloaded', 10);
    ok under_way($t, 20), 'others wait in the new worker';
    $sim->release;

    is_deeply statuses(@calls), { 200 => 20 }, 'all pass';
    is_deeply [ grep { $_ eq 'login' } @{ asked() } ], ['login'],
        'with one token';
};


subtest 'a new token while the one before is used up' => sub {
    is call('spent')->status, 200, 'there is a token';
    forget_requests($sim);
    $sim->act(do => 'expire', kind => 'application');
    $sim->behave->clear->misbehave(match => $login, status => 500, times => -1);

    my $r = call('spent');
    is $r->json->{code}, 'credential_unavailable', 'none is to be had';
    is_deeply [ $r->status, @{ $r->json }{qw(outcome attempts)} ],
        [ 503, 'not_applied', 1 ], 'the call was made once';
    ok $r->header('Retry-After'), 'it may be made again';
    is_deeply asked(), [qw(prefill login)], 'one token request';

    $sim->behave;
    ok wait_until(20, sub { call('spent')->status == 200 }),
        'then calls pass again';
};


# The end of nginx waits for callers, and for no token that nobody wants.
for my $signal (qw(QUIT TERM)) {
    subtest "$signal while it hangs" => sub {
        $t->quit;
        $t->run;
        $sim->behave->clear->misbehave(match => $login, hold => 1);
        my @calls = begin('hang', 3);
        ok wait_until(20, sub { @{ asked() } == 1 }), 'it is asked';
        ok under_way($t, 3), 'all wait';
        close $_ for splice @calls, 0, $signal eq 'QUIT' ? 3 : 2;
        ok under_way($t, scalar @calls), 'some hang up';

        my $since = time;
        kill $signal => $t->master_pid;
        ok $t->quit, 'nginx ends';
        my $took = time - $since;
        cmp_ok $took, '<', HANGS - 3, 'before the answer';
        is $t->read_response($_)->status, 0, 'and its caller is let go'
            for @calls;
        $sim->release;
    };
}


subtest 'QUIT while callers wait' => sub {
    $t->run;
    $sim->behave->clear->misbehave(match => $login, hold => 1);
    my @calls = begin('hang', 3);
    ok wait_until(20, sub { @{ asked() } == 1 }), 'it is asked';
    ok under_way($t, 3), 'all wait';

    kill QUIT => $t->master_pid;
    ok wait_until(20, sub { !$t->worker_pids }), 'the worker is shutting down';
    $sim->release;

    is_deeply statuses(@calls), { 200 => 3 }, 'all pass';
    ok $t->quit, 'and it ends in time';
};


SKIP: {
    skip 'takes a minute, IDPAY_RENEWAL=1 runs it', 1 if !$ENV{IDPAY_RENEWAL};

    subtest 'a renewal that fails' => sub {
        $t->run;
        $sim->behave->clear->act(exp => '1');
        my $since = time;
        is call('renewed')->status, 200, 'there is a token';
        forget_requests($sim);

        $sim->misbehave(match => $login, status => 500, times => -1);
        my @bad;
        ok wait_until(54, sub {
            push @bad, grep { $_->status != 200 } call('renewed');
            sleep 0.1;
            return (token_requests($sim)->{application}{not_acted} // 0) >= 2;
        }), 'it is to be renewed, again and again';
        my $took = time - $since;

        is_deeply [ map { $_->body } @bad ], [], 'no caller notices';
        ok $took >= 44 && $took < 56, 'before its time is over' or diag $took;

        $sim->behave;
        ok wait_until(10, sub {
            push @bad, grep { $_->status != 200 } call('renewed');
            sleep 0.1;
            return token_requests($sim)->{application}{ok};
        }), 'then there is a new one';
        is_deeply [ map { $_->body } @bad ], [], 'no caller notices';
    };
}

$t->canary($_->{token}) for @{ $sim->act(do => 'issued') };
done_testing;
