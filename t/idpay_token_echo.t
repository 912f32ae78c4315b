#!/usr/bin/env perl

# A provider that echoes tokens and codes: those of former attempts too, and
# what was sent to its token endpoint.

use strict;
use warnings;

use Test::Idpay;
use Test::Idpay::Consent qw(begin come_back);
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('gopay', tls => 0);

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    idpay_store %%TESTDIR%%/idpay.db key=file:%%SECRET_store%%;

    %%UPSTREAM_gopay%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;

        location / { idpay_pass gopay; }
        location /off/ { idpay_errors off; idpay_pass gopay/; }
        location = /consent { idpay_consent_start gopay; }
        location = /callback {
            access_log off;
            idpay_consent_callback gopay;
        }
    }
}
CONF
$t->run;

my $profile = 100;
my $token   = '^/v1/auth/token$';
my $data    = '^/v1/client/';


sub made_up {
    my $length = shift;

    my @chars = ('A' .. 'Z', 'a' .. 'z', 0 .. 9, qw(- _ .));
    my $value = join '', map { $chars[ rand @chars ] } 1 .. $length;
    $t->canary($value);
    return $value;
}


# What the token endpoint gives next.
sub pair {
    my ($access, $refresh) = @_;
    return $sim->misbehave(
        match => $token,
        times => 1,
        json  => {
            accessToken     => $access,
            refreshToken    => $refresh // made_up(500),
            clientProfileId => $profile,
        },
    );
}


sub consent {
    $profile++;
    $sim->behave;
    pair(@_);
    is come_back($t, begin($t), code => made_up(40))->status, 200, 'consent';
    return;
}


sub hidden_ok {
    my ($r, @values) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is $r->status, shift @values, 'the status';
    ok index($r->raw, $_) < 0, 'a value is not in it' for @values;
    return;
}


# The first token is refused, and the answer to the second attempt has both.
for ([ '', 422 ], [ '/off', 409 ]) {
    my ($at, $status) = @$_;
    my ($first, $second) = map { made_up(600) } 1 .. 2;

    consent($first);
    pair($second);
    $sim->misbehave(match => $data, times => 1, status => 403);
    $sim->misbehave(match => $data, times => 1, status => 409,
        headers => [ [ 'X-Request-ID', $first ] ],
        json => { message => "$first and $second" });

    hidden_ok $t->get("$at/v1/client/client-profile/$profile/"
        . 'identification-status'), $status, $first, $second;
}

# Or the second one is the application's, whose generation is the same.
{
    my ($first, $second) = map { made_up(600) } 1 .. 2;

    consent($first);
    $sim->misbehave(match => $token, status => 400,
        json => { error => 'invalid_grant' });
    $sim->misbehave(match => '^/v1/auth/login/app$', times => 1,
        json => { accessToken => $second });
    $sim->misbehave(match => $data, times => 1, status => 403);
    $sim->misbehave(match => $data, times => 1, status => 409,
        json => { message => "$first and $second" });

    hidden_ok $t->get("/v1/client/client-profile/$profile/identification-pdf"),
        422, $first, $second;
}

# The code of an error may be any text: that none of it is logged is tested
# at the end.
for my $sent (made_up(12), $t->secret_value('gopay_client_secret')) {
    $sim->behave->misbehave(match => $token, status => 401,
        json => { error => $sent });
    hidden_ok come_back($t, begin($t), code => $sent), 502, $sent;
}
{
    my $refresh = made_up(40);

    consent(made_up(600), $refresh);
    $sim->misbehave(match => $token, status => 404,
        json => { error => $refresh });
    $sim->misbehave(match => $data, times => 1, status => 403);

    hidden_ok $t->get("/v1/client/client-profile/$profile/"
        . 'identification-status'), 503, $refresh;
}

$sim->behave;
done_testing;
