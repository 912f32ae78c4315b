#!/usr/bin/env perl

# Files are named relative to the configuration's directory, and the prefix
# that this is found with may itself be relative: nginx -p DIR -c FILE.

use strict;
use warnings;

use File::Basename qw(basename dirname);
use Test::Idpay;
use Test::More;

my $t = Test::Idpay->new;

$t->secret('key', value => 'a relative secret');

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    idpay_trusted_certificate certs/ca.pem;

    upstream plusid {
        server          127.0.0.1:%%PORT_1%%;
        idpay_provider  plusid;
        idpay_host      plusid.test;
        idpay_secret    api_key file:SECRET;
    }
    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location / { idpay_pass plusid; }
    }
}
CONF

$t->ca;
my $secret = substr $t->secret('key'), 1 + length $t->dir;
$t->write('nginx.conf', $t->read('nginx.conf') =~ s/SECRET/$secret/r);

my $binary = Test::Idpay::binary();
my ($dir, $name) = (dirname($t->dir), basename($t->dir));

for my $prefix ("$name/", "./$name/", $t->dir . '/') {
    my $output = `cd '$dir' && '$binary' -t -e stderr -p '$prefix' -c nginx.conf 2>&1`;

    is $?, 0, "nginx -t -p $prefix" or diag $output;
}

done_testing;
