#!/usr/bin/env perl

# Whom the gateway trusts, and the name that it asks for and tells: idpay_host
# in the SNI and in the Host header.

use strict;
use warnings;

use IO::Select;
use IO::Socket::IP;
use Test::Idpay;
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('plusid');

my $listener = IO::Socket::IP->new(LocalAddr => '127.0.0.1', LocalPort => 0,
    Listen => 5) or die "listen: $@";
my $dumb = '127.0.0.1:' . $listener->sockport;


sub config {
    my ($http, $upstream) = @_;

    return $t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    server {
        listen 127.0.0.1:%%PORT_8080%%;
        proxy_set_header Host callers.test;

        location /plusid/ {
            proxy_set_header Host other.test;
            idpay_pass plusid/;
        }
        location /dumb/ {
            proxy_ssl_server_name off;
            proxy_ssl_name callers.test;
            idpay_pass dumb/;
        }
    }
    upstream plusid {
        server          %%SIM_plusid%%;
        idpay_provider  plusid;
        idpay_host      plusid.test;
        idpay_secret    api_key  file:%%SECRET_plusid_api_key%%;
        $upstream
        %%UNLIMITED%%
    }
    upstream dumb {
        server          $dumb;
        idpay_provider  plusid;
        idpay_host      a-name.of-its-own.test;
        idpay_secret    api_key  file:%%SECRET_plusid_api_key%%;
        %%UNLIMITED%%
    }
    $http
}
CONF
}


# The server name of a ClientHello, RFC 6066, section 3.
sub sni {
    my $hello = shift;

    my (undef, $id, $suites) = unpack 'x11 a32 C/a n/a', $hello;
    my $at = 11 + 32 + 1 + length($id) + 2 + length $suites;
    my (undef, $extensions) = unpack "x$at C/a n/a", $hello;

    while (length $extensions) {
        my ($type, $data) = unpack 'n n/a', $extensions;
        return unpack 'x3 n/a', $data if $type == 0;
        substr $extensions, 0, 4 + length $data, '';
    }
    return;
}


my $trusted = 'idpay_trusted_certificate %%CA%%;';
my @cases   = (
    [ 'the system alone',      '',       '',       502 ],
    [ 'at http, further down', $trusted, '',       200 ],
    [ 'in the upstream',       '',       $trusted, 200 ],
    [ 'another at http', 'idpay_trusted_certificate %%TESTDIR%%/other.pem;',
        $trusted, 200 ],
    [ 'another in the upstream', $trusted,
        'idpay_trusted_certificate %%TESTDIR%%/other.pem;', 502 ],
);

$t->sim('plusid', name => 'other', cert => 'self_signed')->stop;
$t->write('other.pem', $t->read('certs/self_signed.crt'));

for (@cases) {
    my ($name, $http, $upstream, $status) = @$_;

    config($http, $upstream);
    $t->run;
    is $t->get('/plusid/v1/requests')->status, $status, "trusted: $name";
    $t->quit;
}
is scalar @{ $sim->requests }, 3, 'requests only where it was trusted';

config('', $trusted);
$t->run;

$t->get('/plusid/v1/requests', headers => [ [ Host => 'callers.test' ] ]);
is_deeply [ $sim->header($sim->last_request, 'Host') ], ['plusid.test'],
    'the Host header, once';

my $caller = $t->get('/dumb/', no_read => 1);
ok(IO::Select->new($listener)->can_read(10), 'called') or BAIL_OUT('no call');
my $connection = $listener->accept;
sysread $connection, my $hello, 16_384;
is ord $hello, 22, 'a TLS handshake';
is sni($hello), 'a-name.of-its-own.test', 'the SNI name';
close $connection;
is $t->read_response($caller, 'GET')->status, 502, 'that it did not finish';

done_testing;
