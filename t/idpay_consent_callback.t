#!/usr/bin/env perl

# A person comes back with a code: it becomes tokens that are kept, once, for
# the browser that was sent away, and the application behind is told.

use strict;
use warnings;

use Mojo::JSON qw(decode_json);
use Mojo::Util qw(url_escape);
use Test::Idpay;
use Test::Idpay::Consent
    qw(begin come_back give code cookie_of arguments watch);
use Test::Idpay::Gopay   qw(token_requests forget_requests profile);
use Test::Idpay::Process qw(wait_until);
use Test::More;
use Time::HiRes qw(time);

my $t   = Test::Idpay->new;
my $sim = $t->sim('gopay', tls => 0);
my $two = $t->sim('gopay', tls => 0, name => 'two');

my $token_path = '^/v1/auth/token$';


sub configure {
    my $store = shift;

    return $t->config(<<"CONF", workers => 2);
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    $store

    %%UPSTREAM_gopay%%
    %%UPSTREAM_two%%

    server {
        listen 127.0.0.1:%%PORT_8080%% reuseport;

        location / { idpay_pass gopay; }
        location /two/ { idpay_pass two/; }
        location = /consent { idpay_consent_start gopay; }
        location = /callback { idpay_consent_callback gopay; }
        location = /two-consent { idpay_consent_start two; }
        location = /two-callback { idpay_consent_callback two; }
        location = /return {
            idpay_consent_callback gopay return=https://app.test/done;
        }
        location = /return-more {
            idpay_consent_callback gopay return=https://app.test/done?x=1;
        }
    }
}
CONF
}

my $with = 'idpay_store %%TESTDIR%%/idpay.db key=file:%%SECRET_store%%;';

my $next = 100;
sub new_profile { return ++$next }


# Headers that all these answers have.
sub private_ok {
    my ($r, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is_deeply [ map { scalar $r->header($_) }
            qw(Cache-Control Referrer-Policy) ],
        [qw(no-store no-referrer)], $name;
}


sub cleared_ok {
    my ($r, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is cookie_of($r),
        'idpay_consent=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0', $name;
}


# A callback that is refused: nobody goes anywhere, nothing is asked for.
sub refused_ok {
    my ($r, $detail, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $problem = $r->json;
    return is_deeply [ $r->status, $problem->{code}, $problem->{detail},
            scalar $r->header('Location') ],
        [ 400, 'request_rejected', $detail, undef ], $name;
}

my $not_ours = 'the argument "state" is none that the gateway has given to '
    . 'this browser last';
my $used = 'the argument "state" has been used before';


sub families_of {
    my ($provider, $profile) = @_;
    return [ grep { $_->{profile} == $profile }
            @{ $provider->act(do => 'families') } ];
}


sub test_consent {
    my $profile = new_profile();

    forget_requests($sim);
    is profile($t, $profile)->status, 403, 'no consent yet';

    my $begun = begin($t, state => 'order 4711');
    my $r     = come_back($t, $begun, code => code($sim, $profile));

    is $r->status, 200, 'the code is taken';
    is $r->header('Content-Type'), 'application/json', 'the answer is JSON';
    is $r->body,
        qq({"client_profile_id":$profile,"state":"order 4711"}\r\n), 'this';
    private_ok $r, 'nobody keeps it';
    cleared_ok $r, 'the cookie goes';
    is_deeply token_requests($sim), { code => { ok => 1 } },
        'one token request';

    is profile($t, $profile)->status, 200, 'the person\'s data can be had';
    is_deeply token_requests($sim), { code => { ok => 1 } },
        'with the token that came';

    is give($t, $sim, $profile)->body, qq({"client_profile_id":$profile}\r\n),
        'without a state of the caller\'s';
    watch($t, $sim);
    return;
}


sub test_return {
    my $profile = new_profile();
    my $r = come_back($t, begin($t, state => "a b&c=\xc3\xa4\r\n?"),
        at => '/return', code => code($sim, $profile));

    is $r->status, 303, 'a redirect';
    is $r->header('Location'),
        "https://app.test/done?client_profile_id=$profile"
        . '&state=a%20b%26c%3D%C3%A4%0D%0A%3F', 'to the application';
    is $r->header('Content-Length'), 0, 'without a body';
    private_ok $r, 'nobody keeps it';
    cleared_ok $r, 'the cookie goes';

    $r = come_back($t, begin($t), at => '/return-more',
        code => code($sim, $profile));
    is $r->header('Location'),
        "https://app.test/done?x=1&client_profile_id=$profile",
        'whose arguments stay';
    return;
}


sub test_states {
    for my $case (
        [ '"\\/'             => '"\\/' ],
        [ "\x00\x1f\n"       => "\x00\x1f\n" ],
        [ "\xc3\xa4"         => "\x{e4}" ],
        [ "a\xffb\xc3"       => "a\x{fffd}b\x{fffd}" ],
        [ 'x' x 512          => 'x' x 512 ],
        [ "\xe2\x82\xac" x 170 => "\x{20ac}" x 170 ],
        [ '"' x 512          => '"' x 512 ],
        [ "\x01" x 512       => "\x01" x 512 ],
        [ 'a+b%2B'           => 'a+b%2B' ],
        )
    {
        my ($state, $told) = @$case;
        my $name = $state =~ s/([^!-~])/sprintf '%%%02x', ord $1/ger;
        $name = substr($name, 0, 20) . '...' if length $name > 20;

        my $r = come_back($t, begin($t, state => $state),
            error => 'access_denied');
        is decode_json($r->body)->{state}, $told, "JSON, $name";

        $r = come_back($t, begin($t, state => $state),
            at => '/return', error => 'access_denied');
        is_deeply arguments($r->header('Location')),
            [ [ error => 'access_denied' ], [ state => $state ] ],
            "a redirect, $name";
    }
    return;
}


sub test_refusals {
    forget_requests($sim);

    my $code  = code($sim, new_profile());
    my $begun = begin($t, state => 'mine');
    my $other = begin($t, state => 'mine');
    my $alien = begin($t, at => '/two-consent');

    my $changed = $begun->{state};
    substr($changed, $_, 1) =~ tr/A-Za-z/B-ZAb-za/ for 40, 41, 42, 43, 44;

    for my $at ('/callback', '/return') {
        my $back = sub {
            come_back($t, $begun, code => $code, at => $at, @_);
        };

        refused_ok $back->(state => undef), $not_ours, "$at, no state";
        refused_ok $back->(state => ''), $not_ours, "$at, an empty one";
        refused_ok $back->(state => 'mine'), $not_ours, "$at, the caller's";
        refused_ok $back->(state => 'A' x 4000), $not_ours, "$at, a long one";
        refused_ok $back->(state => $changed), $not_ours, "$at, changed";
        refused_ok $back->(state => $begun->{state} . 'A'), $not_ours,
            "$at, longer";
        refused_ok $back->(state => $begun->{state} . '='), $not_ours,
            "$at, of another spelling";
        refused_ok $back->(cookie => undef), $not_ours, "$at, no cookie";
        refused_ok $back->(cookie => 'idpay_consent='), $not_ours,
            "$at, an empty one";
        refused_ok $back->(cookie => $other->{cookie}), $not_ours,
            "$at, another browser's";
        refused_ok $back->(cookie => "$begun->{cookie}x"), $not_ours,
            "$at, a longer one";
        refused_ok $back->(state => $other->{state}), $not_ours,
            "$at, of another way";
        refused_ok come_back($t, $alien, code => $code, at => $at),
            $not_ours, "$at, another provider's";
        refused_ok $back->(error => 'access_denied', cookie => undef),
            $not_ours, "$at, an error that somebody sends";
    }

    my $r = come_back($t, $begun, code => $code, cookie => undef);
    private_ok $r, 'nobody keeps it';
    is cookie_of($r), '', 'and the cookie of the right browser stays';

    is_deeply token_requests($sim), {}, 'nothing has been asked for';

    $r = come_back($t, $begun, code => $code,
        cookie => "a=b; $begun->{cookie}; c=d");
    is $r->status, 200, 'among other cookies, the right one does';

    for my $method (qw(HEAD POST DELETE)) {
        $r = $t->http($method => '/callback?code=x');
        is $r->status, 405, $method;
        is $r->header('Allow'), 'GET', 'GET is allowed';
    }
    return;
}


sub test_codes {
    forget_requests($sim);

    my $come = sub { come_back($t, begin($t), at => '/return', @_) };
    my $none = 'there is neither an argument "code" nor "error"';
    my $form = 'the argument "code" is not 1 to 512 visible characters';

    refused_ok $come->(), $none, 'no code';
    refused_ok $come->(code => ''), $none, 'an empty one';
    refused_ok $come->(code => $_), $form, sprintf 'byte %d', ord
        for ' ', "\x00", "\x7f", "\xc3\xa4";
    refused_ok $come->(code => 'x' x 513), $form, '513 characters';
    is_deeply token_requests($sim), {}, 'nothing has been asked for';

    my $r = $come->(code => '~&=%!' . 'x' x 507);
    is $r->header('Location'), 'https://app.test/done?error=invalid_grant',
        '512 characters that the provider does not know';
    is_deeply token_requests($sim), { code => { unknown => 1 } },
        'it has been asked';
    like $sim->last_request->{body}, qr/&code=~%26%3D%25%21x{507}(?:&|$)/,
        'for just this';
    return;
}


sub test_once {
    forget_requests($sim);

    my $profile = new_profile();
    my $begun   = begin($t);
    my $code    = code($sim, $profile);

    $sim->misbehave(match => $token_path, delay_ms => 300, acted => 1);

    my $query = "code=$code&state=$begun->{state}";
    my @calls = map {
        $t->get("/callback?$query", no_read => 1,
            headers => [ [ Cookie => $begun->{cookie} ] ])
    } 1 .. 20;

    my %n;
    $n{ $t->read_response($_, 'GET')->status }++ for @calls;
    is_deeply \%n, { 200 => 1, 400 => 19 }, 'one of many at a time';

    refused_ok come_back($t, $begun, code => $code), $used, 'none later'
        for 1 .. 4;
    refused_ok come_back($t, $begun, code => code($sim, $profile)), $used,
        'with another code';
    is_deeply token_requests($sim), { code => { ok => 1 } },
        'one token request';

    $t->reload;
    refused_ok come_back($t, $begun, code => code($sim, $profile)), $used,
        'none after a reload';

    # A state that was given before a reload is good.
    $begun = begin($t);
    $t->reload;
    is come_back($t, $begun, code => code($sim, $profile))->status, 200,
        'but another one';

    # A person who has said no is asked anew.
    $begun = begin($t);
    come_back($t, $begun, error => 'access_denied');
    refused_ok come_back($t, $begun, code => code($sim, $profile)), $used,
        'none after an error';
    return;
}


sub test_errors {
    forget_requests($sim);

    my $long = 'e' x 64;
    for my $case (
        [ access_denied => 'access_denied' ],
        [ invalid_scope => 'invalid_scope' ],
        [ 'A-z.0_9'     => 'A-z.0_9' ],
        [ $long         => $long ],
        [ "${long}e"    => 'server_error' ],
        [ '<script>'    => 'server_error' ],
        [ '"'           => 'server_error' ],
        [ "a\r\nb: c"   => 'server_error' ],
        [ "\xff"        => 'server_error' ],
        )
    {
        my ($error, $told) = @$case;

        my $r = come_back($t, begin($t, state => 'x'), error => $error);
        is $r->status, 400, 'an error';
        is $r->body, qq({"error":"$told","state":"x"}\r\n), "is $told";
        is $r->header('Content-Type'), 'application/json', 'JSON';
        cleared_ok $r, 'the cookie goes';
        private_ok $r, 'nobody keeps it';

        $r = come_back($t, begin($t, state => 'x'),
            at => '/return', error => $error, code => 'x');
        is $r->status, 303, 'a redirect';
        is $r->header('Location'),
            "https://app.test/done?error=$told&state=x", 'with it';
        cleared_ok $r, 'the cookie goes';
    }
    is_deeply token_requests($sim), {}, 'nothing has been asked for';
    return;
}


# What a failure is to the application, and what the problem says.
sub failure_ok {
    my ($name, $how, $error, $problem, $same) = @_;

    subtest $name => sub {
        my $profile = new_profile();

        $how->();
        my $r = come_back($t, begin($t, state => 'x'),
            at => '/return', code => code($sim, $profile));
        is $r->status, 303, 'a redirect';
        is $r->header('Location'),
            "https://app.test/done?error=$error&state=x", 'with the reason';
        cleared_ok $r, 'the cookie goes';
        $sim->behave;

        $how->();
        $r = give($t, $sim, $profile, state => 'x');
        if ($problem) {
            my $told = $r->json;
            is_deeply { map { $_ => $told->{$_} } keys %$problem }, $problem,
                'the problem';
            is $r->status, $problem->{status}, 'its status';
        } else {
            is $r->status, 400, 'an error';
            is_deeply $r->json, { error => $error, state => 'x' }, 'as JSON';
        }
        cleared_ok $r, 'the cookie goes';
        private_ok $r, 'nobody keeps it';
        $sim->behave;

        is profile($t, $profile)->status, 403, 'no consent has come of it';
    };
    return;
}


sub test_failures {
    my %unavailable = (
        status    => 503,
        code      => 'credential_unavailable',
        retryable => Mojo::JSON->true,
        fault     => 'credential',
    );

    failure_ok 'a code that is refused', sub {
        $sim->misbehave(match => $token_path, status => 400,
            json => { error => 'invalid_grant' });
    }, 'invalid_grant';

    failure_ok 'a client that is refused', sub {
        $sim->misbehave(match => $token_path, status => 401,
            json => { error => 'invalid_client' });
    }, 'server_error', {
        status          => 502,
        code            => 'credential_rejected',
        provider_status => 401,
        provider_code   => 'invalid_client',
        outcome         => 'not_applied',
        attempts        => 0,
    };

    for my $status (500, 404) {
        failure_ok "status $status", sub {
            $sim->misbehave(match => $token_path, status => $status);
        }, 'temporarily_unavailable',
            { %unavailable, provider_status => $status, outcome => 'unknown' };
    }

    failure_ok 'status 503', sub {
        $sim->misbehave(match => $token_path, status => 503,
            retry_after => 7);
    }, 'temporarily_unavailable', {
        %unavailable,
        provider_status => 503,
        retry_after     => 7,
        outcome         => 'not_applied',
    };

    for (
        [ 'no JSON',      body => 'not JSON' ],
        [ 'no token',     json => { clientProfileId => 1 } ],
        [ 'no profile',   json => { accessToken => 'a', refreshToken => 'r' } ],
        [ 'a bad profile', json => { accessToken => 'a', refreshToken => 'r',
            clientProfileId => '1/../2' } ],
        [ 'no refresh token',
            json => { accessToken => 'a', clientProfileId => 1 } ],
        [ 'too much',     body_size => 200_000 ],
        )
    {
        my ($name, @answer) = @$_;
        failure_ok $name, sub {
            $sim->misbehave(match => $token_path, @answer);
        }, 'temporarily_unavailable', { %unavailable, outcome => 'unknown' };
    }

    for ([ 'a reset', reset => 'before_header' ],
        [ 'no answer', close => 'no_answer' ])
    {
        my ($name, @answer) = @$_;
        failure_ok $name, sub {
            $sim->misbehave(match => $token_path, @answer);
        }, 'temporarily_unavailable', { %unavailable, outcome => 'unknown' };
    }
    return;
}


sub test_hanging {
    my $profile = new_profile();

    $sim->misbehave(match => $token_path, hold => 1);
    my $began = time;
    my $r     = give($t, $sim, $profile);
    my $took  = time - $began;

    is $r->status, 503, 'a problem';
    is $r->json->{code}, 'credential_unavailable', 'this one';
    is $r->json->{outcome}, 'unknown', 'the code may be spent';
    ok $took > 8, "not before its time, $took s";
    $sim->release->behave;
    return;
}


sub test_gone {
    my $profile = new_profile();
    my $begun   = begin($t);
    my $code    = code($sim, $profile);

    $sim->clear->misbehave(match => $token_path, hold => 1, acted => 1);
    my $socket = $t->get("/callback?code=$code&state=$begun->{state}",
        no_read => 1, headers => [ [ Cookie => $begun->{cookie} ] ]);
    $sim->wait_requests(1);
    close $socket;
    $t->expect_access_log(qr/code=\Q$code\E.* 499 /, 'the person has gone');
    $sim->release->behave;

    $t->expect_log(qr/consent given to "gopay" for profile $profile,/,
        'the consent is kept all the same');
    is profile($t, $profile)->status, 200, 'it can be used';
    return;
}


sub test_reload {
    my $profile = new_profile();
    my $begun   = begin($t);
    my $code    = code($sim, $profile);

    $sim->clear->misbehave(match => $token_path, hold => 1, acted => 1);
    my $socket = $t->get("/callback?code=$code&state=$begun->{state}",
        no_read => 1, headers => [ [ Cookie => $begun->{cookie} ] ]);
    $sim->wait_requests(1);
    $t->reload;
    $sim->release->behave;

    is $t->read_response($socket, 'GET')->status, 200,
        'a worker that ends waits for it';
    is profile($t, $profile)->status, 200, 'the others have it';
    return;
}


# Each time the newest tokens are used, and the former ones never again.
sub test_again {
    my $profile = new_profile();

    is give($t, $sim, $profile)->status, 200, 'a consent';
    is profile($t, $profile)->status, 200, 'is used';

    is give($t, $sim, $profile)->status, 200, 'another one';
    my $families = families_of($sim, $profile);
    is @$families, 2, 'of two families';

    my ($old, $new) = @$families;
    $sim->clear;
    is profile($t, $profile)->status, 200, 'is used';
    is_deeply [ $sim->header($sim->last_request, 'Authorization') ],
        ["Bearer $new->{access}[0]"], 'in its place';

    $sim->act(do => 'expire', kind => 'client', profile => $profile);
    is profile($t, $profile)->status, 200, 'and renewed';
    ($old, $new) = @{ families_of($sim, $profile) };
    is_deeply [ map { $_->{refreshes} } $old, $new ], [ 0, 1 ],
        'by its own refresh token';
    watch($t, $sim);
    return;
}


# Consent is given while the former one's refresh token is being spent.
sub test_race {
    my $profile = new_profile();

    is give($t, $sim, $profile)->status, 200, 'a consent';
    $sim->act(do => 'expire', kind => 'client', profile => $profile);

    $sim->clear->misbehave(match => $token_path, hold => 1, status => 400,
        json => { error => 'invalid_grant' });
    my $socket = $t->get(
        "/v1/client/client-profile/$profile/identification-status",
        no_read => 1);
    wait_until(20, sub {
        grep { $_->{target} eq '/v1/auth/token' } @{ $sim->requests };
    });

    is give($t, $sim, $profile)->status, 200, 'another one meanwhile';
    $sim->release->behave;

    is $t->read_response($socket, 'GET')->status, 200,
        'the call that waits gets it';
    is profile($t, $profile)->status, 200, 'so does the next';
    return;
}


sub test_two {
    my ($one, $other) = (new_profile(), new_profile());

    is give($t, $sim, $one)->status, 200, 'one provider';
    is give($t, $two, $other, at => '/two-consent',
        callback => '/two-callback')->status, 200, 'the other';

    is_deeply [
        profile($t, $one)->status,
        profile($t, $other)->status,
        map { $t->get('/two/v1/client/client-profile/' . $_
                    . '/identification-status')->status } $one, $other
        ],
        [ 200, 403, 403, 200 ], 'each has its own';

    my $begun = begin($t);
    $begun->{cookie} = begin($t, at => '/two-consent')->{cookie};
    refused_ok come_back($t, $begun, code => 'x'), $not_ours,
        'the cookie is of the last way';
    watch($t, $two);
    return;
}


my @tests = (
    [ 'a consent'                     => \&test_consent ],
    [ 'a consent, and a redirect'     => \&test_return ],
    [ 'whatever the state'            => \&test_states ],
    [ 'states of others'              => \&test_refusals ],
    [ 'codes'                         => \&test_codes ],
    [ 'a state is good once'          => \&test_once ],
    [ 'errors'                        => \&test_errors ],
    [ 'failures'                      => \&test_failures ],
    [ 'a person who leaves'           => \&test_gone ],
    [ 'a reload meanwhile'            => \&test_reload ],
    [ 'consent is given again'        => \&test_again ],
    [ 'consent during a renewal'      => \&test_race ],
    [ 'two providers'                 => \&test_two ],
    [ 'a provider that does not answer' => \&test_hanging ],
);

for (@tests) {
    my ($name, $code) = @$_;

    configure($with) && $t->run if !$t->master_pid;
    subtest "$name, with a store" => $code;
}


subtest 'a restart' => sub {
    my $profile = new_profile();

    is give($t, $sim, $profile)->status, 200, 'a consent';
    my $begun = begin($t, state => 'x');
    $t->quit;
    $t->run;

    forget_requests($sim);
    is profile($t, $profile)->status, 200, 'is still there';
    is_deeply token_requests($sim), {}, 'and its token too';

    is come_back($t, $begun, code => code($sim, $profile))->json->{state},
        'x', 'a state that was given before is good';
};


$t->quit;
configure('');
$t->run;

for (@tests) {
    my ($name, $code) = @$_;
    subtest "$name, without a store" => $code;
}

done_testing;
