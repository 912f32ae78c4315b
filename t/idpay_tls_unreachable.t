#!/usr/bin/env perl

# What is told of a call that has no answer: where no connection was made
# nothing was done; where one broke, only a call that may be sent twice is
# surely not applied.

use strict;
use warnings;

use Mojo::JSON qw(false true);
use Test::Idpay;
use Test::More;

my $t   = Test::Idpay->new;
my %sim = (
    plusid => $t->sim('plusid'),
    plain  => $t->sim('plusid', name => 'plain', tls => 0),
);

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    idpay_trusted_certificate %%CA%%;

    %%UPSTREAM_plusid%%
    %%UPSTREAM_plain%%
    upstream dead {
        server          127.0.0.1:%%PORT_1%%;
        idpay_provider  plusid;
        idpay_host      plusid.test;
        idpay_secret    api_key  file:%%SECRET_plusid_api_key%%;
        %%UNLIMITED%%
    }
    upstream gone {
        server          unix:%%TESTDIR%%/none.socket;
        idpay_provider  plusid;
        idpay_tls       off;
        idpay_host      plusid.test;
        idpay_secret    api_key  file:%%SECRET_plusid_api_key%%;
        %%UNLIMITED%%
    }
    upstream mute {
        server          127.0.0.1:%%PORT_8080%%;
        idpay_provider  plusid;
        idpay_host      plusid.test;
        idpay_secret    api_key  file:%%SECRET_plusid_api_key%%;
        %%UNLIMITED%%
    }
    server {
        listen 127.0.0.1:%%PORT_8080%%;

        location /plusid/ { idpay_pass plusid/; }
        location /plain/  { idpay_pass plain/; }
        location /dead/   { idpay_pass dead/; }
        location /gone/   { idpay_pass gone/; }
        location /slow/   { proxy_read_timeout 200ms; idpay_pass plusid/; }
        location /mute/   { idpay_pass mute/; }
    }
}
CONF
$t->run;

# nginx takes this for worse than a refused connection.
$t->allow_log(qr{connect\(\) to unix:\S+/none\.socket failed});


sub problem {
    my ($method, $uri) = @_;
    return $t->http($method, $uri,
        body => $method =~ /^(?:POST|PATCH|PUT)$/ ? '{}' : undef);
}


sub is_problem {
    my ($r, $name, %expected) = @_;

    my $problem = $r->json;
    is $r->status, $expected{status}, $name;
    is_deeply { map { $_ => $problem->{$_} } keys %expected }, \%expected,
        'the problem';
    return;
}


my @safe   = qw(GET PUT DELETE OPTIONS);
my @unsafe = qw(POST PATCH);

for my $where (qw(dead gone)) {
    for my $method (@safe, @unsafe) {
        is_problem(problem($method, "/$where/x"), "$method, $where",
            status => 503, code => 'provider_unavailable',
            fault => 'provider', retryable => true,
            outcome => 'not_applied', provider => $where);
    }
    is $t->http(HEAD => "/$where/x")->status, 503, "HEAD, $where";
}

for my $where (qw(plusid plain)) {
    for my $rule ({ close => 'no_answer' }, { reset => 'before_header' }) {
        $sim{$where}->behave->misbehave(times => -1, %$rule);

        for my $method (@safe, @unsafe) {
            my $unsafe = grep { $_ eq $method } @unsafe;
            is_problem(problem($method, "/$where/x"),
                "$method, $where: " . join(' ', %$rule),
                status => 502, code => 'provider_error', fault => 'provider',
                retryable => $unsafe ? false : true,
                outcome => $unsafe ? 'unknown' : 'not_applied',
                attempts => 1);
        }
        is $t->http(HEAD => "/$where/x")->status, 502, 'HEAD';
    }
    $sim{$where}->behave;
}

$sim{plusid}->misbehave(times => -1, delay_ms => 60_000);
is_problem(problem(GET => '/slow/x'), 'a time-out of GET', status => 504,
    code => 'provider_timeout', retryable => true, outcome => 'not_applied');
is_problem(problem(POST => '/slow/x'), 'a time-out of POST', status => 504,
    code => 'provider_timeout', retryable => false, outcome => 'unknown');
$sim{plusid}->behave;

is_problem(problem(POST => '/mute/x'), 'a peer that speaks no TLS',
    status => 502, code => 'provider_error', outcome => 'not_applied');

done_testing;
