#!/usr/bin/env perl

# A consent is revoked at the provider and then forgotten; where the provider
# does not say so it stays, and can be used and revoked as before.

use strict;
use warnings;

use Mojo::JSON;
use Test::Idpay;
use Test::Idpay::Consent qw(give watch);
use Test::Idpay::Gopay
    qw(token_requests forget_requests profile status_uri);
use Test::Idpay::Process qw(wait_until);
use Test::More;
use Time::HiRes qw(time);

my $t   = Test::Idpay->new;
my $sim = $t->sim('gopay', tls => 0);

my $revoke = '^/v1/auth/revoke$';


sub configure {
    my $store = shift;

    return $t->config(<<"CONF", workers => 2);
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    $store

    %%UPSTREAM_gopay%%

    server {
        listen 127.0.0.1:%%PORT_8080%% reuseport;

        location / { idpay_pass gopay; }
        location = /consent { idpay_consent_start gopay; }
        location = /callback { idpay_consent_callback gopay; }
        location /consents/ { idpay_consents gopay; }
    }
}
CONF
}

my $next = 100;


# A profile that has given consent.
sub given {
    my $profile = ++$next;

    my $r = give($t, $sim, $profile);
    is $r->status, 200, 'a consent' if $r->status != 200;
    forget_requests($sim);
    return $profile;
}


sub delete_it {
    my ($profile, %opt) = @_;
    return $t->http(DELETE => "/consents/$profile", %opt);
}


sub problem_of {
    my ($r, @members) = @_;

    my $problem = $r->json;
    return [ $r->status, @$problem{ 'code', @members } ];
}


sub revoked_ok {
    my ($profile, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is_deeply [
        problem_of(profile($t, $profile)),
        $t->get("/consents/$profile")->status,
        ],
        [ [ 403, 'consent_required' ], 404 ], $name;
}


sub kept_ok {
    my ($profile, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return is_deeply [
        profile($t, $profile)->status,
        $t->get("/consents/$profile")->json->{state},
        ],
        [ 200, 'valid' ], $name;
}


sub asked {
    my $path = shift;
    return scalar grep { $_->{target} eq $path } @{ $sim->requests };
}


sub wait_asked {
    my ($path) = @_;
    return wait_until(20, sub { asked($path) });
}


sub test_revoke {
    my $profile = given();
    my $other   = given();

    my $r = delete_it($profile);
    is $r->status, 204, 'no more to say';
    is $r->body, '', 'nothing';
    is $r->header('Cache-Control'), 'no-store', 'nobody keeps it';
    is_deeply token_requests($sim), { revoke => { ok => 1 } },
        'the provider has been asked';

    revoked_ok $profile, 'it is gone';
    is scalar(grep { $_->{client_profile_id} == $profile }
            @{ $t->get('/consents/')->json->{consents} }), 0,
        'from the list too';
    is_deeply problem_of(delete_it($profile), 'detail'),
        [ 404, 'not_found', 'there is no consent of this profile' ],
        'once more';
    is_deeply token_requests($sim), { revoke => { ok => 1 } },
        'the provider is not asked again';
    kept_ok $other, 'another one stays';

    is give($t, $sim, $profile)->status, 200, 'consent is given again';
    kept_ok $profile, 'and used';
    watch($t, $sim);
    return;
}


sub test_unknown {
    forget_requests($sim);

    is_deeply problem_of(delete_it($_), 'attempts'), [ 404, 'not_found', 0 ],
        "no $_"
        for 1, 99, '9' x 19, '0', 'x', '1/2';
    is_deeply token_requests($sim), {}, 'the provider has not been asked';
    is_deeply problem_of(profile($t, 99)), [ 403, 'consent_required' ],
        'a call knows as much';
    return;
}


# What the provider knows nothing of is gone as well.
sub test_unknown_there {
    my $profile = given();

    $sim->act(do => 'revoke_family', profile => $profile);
    is delete_it($profile)->status, 204, 'the person was first';
    is_deeply token_requests($sim), { revoke => { unknown => 1 } },
        'the provider does not know it';
    revoked_ok $profile, 'it is gone';

    # and where calls have found that out before
    $profile = given();
    $sim->act(do => 'revoke_family', profile => $profile);
    is profile($t, $profile)->status, 403, 'it can no longer be used';
    is $t->get("/consents/$profile")->json->{state}, 'gone', 'as can be seen';
    forget_requests($sim);
    is delete_it($profile)->status, 204, 'revoked';
    is_deeply token_requests($sim)->{revoke}, { unknown => 1 },
        'with what there was';
    revoked_ok $profile, 'it is gone';
    return;
}


sub test_failures {
    my @never    = ('credential_rejected',    Mojo::JSON->false);
    my @later    = ('credential_unavailable', Mojo::JSON->true);

    for (
        [ 'status 401', [ 502, @never, 401 ], status => 401 ],
        [ 'status 409', [ 503, @later, 409 ], status => 409 ],
        [ 'status 400', [ 503, @later, 400 ], status => 400 ],
        [ 'status 403', [ 503, @later, 403 ], status => 403 ],
        [ 'status 500', [ 503, @later, 500 ], status => 500 ],
        [ 'status 503', [ 503, @later, 503, 9 ], status => 503,
            retry_after => 9 ],
        [ 'status 302', [ 503, @later, 302 ], status => 302 ],
        [ 'status 204', [ 503, @later, 204 ], status => 204 ],
        [ 'a reset',    [ 503, @later, undef ], reset => 'before_header' ],
        [ 'no answer',  [ 503, @later, undef ], close => 'no_answer' ],
        [ 'no HTTP',    [ 503, @later, undef ], raw => "no HTTP\r\n" ],
        )
    {
        my ($name, $problem, @how) = @$_;
        $#$problem = 4;
        my $profile = given();

        $sim->misbehave(match => $revoke, @how);
        is_deeply problem_of(delete_it($profile),
            qw(retryable provider_status retry_after)), $problem, $name;
        $sim->behave;

        kept_ok $profile, 'it stays';
        $sim->act(do => 'expire', kind => 'client', profile => $profile);
        kept_ok $profile, 'and is renewed at once';
        is delete_it($profile)->status, 204, 'it can be revoked later';
        revoked_ok $profile, 'then it is gone';
    }
    return;
}


sub test_hanging {
    my $profile = given();

    $sim->misbehave(match => $revoke, hold => 1, status => 500);
    my $began = time;
    is_deeply problem_of(delete_it($profile)),
        [ 503, 'credential_unavailable' ], 'a problem';
    my $took = time - $began;
    ok $took > 8, "not before its time, $took s";
    $sim->release->behave;

    kept_ok $profile, 'it stays';
    return;
}


# A refresh token that is being spent is not revoked.
sub test_renewal {
    my $profile = given();
    $sim->act(do => 'expire', kind => 'client', profile => $profile);

    $sim->clear->misbehave(match => '^/v1/auth/token$', hold => 1);
    my $call = $t->get(status_uri($profile), no_read => 1);
    wait_asked('/v1/auth/token');

    my $r = delete_it($profile);
    is_deeply problem_of($r, 'retry_after'),
        [ 503, 'credential_unavailable', 1 ], 'not now';
    is $r->header('Retry-After'), 1, 'but in a second';
    is asked('/v1/auth/revoke'), 0, 'the provider has not been asked';
    $sim->release->behave;

    is $t->read_response($call, 'GET')->status, 200, 'the call goes on';
    is delete_it($profile)->status, 204, 'then it is revoked';
    is_deeply $sim->act(do => 'report')->{counts}{refresh}, { ok => 1 },
        'and nothing was spent twice';
    revoked_ok $profile, 'it is gone';
    return;
}


# A token that is being revoked is not spent.
sub test_calls {
    my $profile = given();
    $sim->act(do => 'expire', kind => 'client', profile => $profile);

    $sim->clear->misbehave(match => $revoke, hold => 1, acted => 1);
    my $delete = delete_it($profile, no_read => 1);
    wait_asked('/v1/auth/revoke');

    my @calls = map { $t->get(status_uri($profile), no_read => 1) } 1 .. 10;
    is_deeply problem_of(delete_it($profile)),
        [ 503, 'credential_unavailable' ], 'nor revoked twice';
    $sim->release->behave;

    is $t->read_response($delete, 'DELETE')->status, 204, 'revoked';
    my %n;
    $n{ $t->read_response($_, 'GET')->status }++ for @calls;
    is_deeply \%n, { 403 => 10 }, 'what waited hears of it';
    is_deeply token_requests($sim), { revoke => { ok => 1 } },
        'nobody has tried to renew it';
    revoked_ok $profile, 'it is gone';
    return;
}


# A consent that is given while the former one is being revoked stays.
sub test_new {
    my $profile = given();

    $sim->clear->misbehave(match => $revoke, hold => 1, acted => 1);
    my $delete = delete_it($profile, no_read => 1);
    wait_asked('/v1/auth/revoke');

    is give($t, $sim, $profile)->status, 200, 'another consent';
    $sim->release->behave;
    is $t->read_response($delete, 'DELETE')->status, 204,
        'the former one is revoked';

    kept_ok $profile, 'the new one stays';
    $t->reload;
    kept_ok $profile, 'and stays';
    is delete_it($profile)->status, 204, 'until it is revoked too';
    revoked_ok $profile, 'then it is gone';
    return;
}


sub test_leaving {
    my $profile = given();

    $sim->clear->misbehave(match => $revoke, hold => 1, acted => 1);
    my $delete = delete_it($profile, no_read => 1);
    wait_asked('/v1/auth/revoke');
    close $delete;
    $t->expect_access_log(qr{DELETE /consents/$profile .* 499 },
        'the caller has gone');
    $sim->release->behave;

    $t->expect_log(qr/consent revoked at "gopay" for profile $profile$/,
        'it is revoked all the same');
    wait_until(20, sub { profile($t, $profile)->status == 403 });
    revoked_ok $profile, 'it is gone';
    return;
}


sub test_reload {
    my $profile = given();

    $sim->clear->misbehave(match => $revoke, hold => 1, acted => 1);
    my $delete = delete_it($profile, no_read => 1);
    wait_asked('/v1/auth/revoke');
    $t->reload;
    $sim->release->behave;

    is $t->read_response($delete, 'DELETE')->status, 204,
        'a worker that ends waits for it';
    revoked_ok $profile, 'it is gone';
    return;
}


my @tests = (
    [ 'a consent is revoked'           => \&test_revoke ],
    [ 'no such consent'                => \&test_unknown ],
    [ 'the provider does not know it'  => \&test_unknown_there ],
    [ 'failures'                       => \&test_failures ],
    [ 'during a renewal'               => \&test_renewal ],
    [ 'calls meanwhile'                => \&test_calls ],
    [ 'another consent meanwhile'      => \&test_new ],
    [ 'a caller who leaves'            => \&test_leaving ],
    [ 'a reload meanwhile'             => \&test_reload ],
    [ 'a provider that does not answer' => \&test_hanging ],
);

configure('idpay_store %%TESTDIR%%/idpay.db key=file:%%SECRET_store%%;');
$t->run;

for (@tests) {
    my ($name, $code) = @$_;
    subtest "$name, with a store" => $code;
}

subtest 'a restart' => sub {
    my ($gone, $kept) = (given(), given());

    is delete_it($gone)->status, 204, 'revoked';
    $t->quit;
    $t->run;
    revoked_ok $gone, 'it does not come back';
    kept_ok $kept, 'another one does';
};

$t->quit;
configure('');
$t->run;

for (@tests) {
    my ($name, $code) = @$_;
    subtest "$name, without a store" => $code;
}

done_testing;
