#!/usr/bin/env perl

# The schemes of "generic", with values of any characters that a secret may
# have: a header gets them as they are, an argument percent-encoded.

use strict;
use warnings;

use MIME::Base64 qw(encode_base64);
use Test::Idpay;
use Test::More;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', tls => 0);

my %value = (
    plain   => 'plain-value_1.2~3',
    utf8    => "schl\xc3\xbcssel-\xe2\x82\xac",
    quotes  => q{one "two" 'three' `four`},
    slashes => '/a/b\\c//',
    special => 'a+b c&d=e?f#g%h;i:j%2F,k@l$m!n*o(p)',
    edges   => ' in blanks ',
);
$t->secret("key_$_", value => $value{$_})     for sort keys %value;
$t->secret("file_$_", value => "$value{$_}\n") for sort keys %value;
$t->secret('user', value => 'us er/+"');

my $upstream = sub {
    my ($name, $auth, @secrets) = @_;
    return "upstream $name { server $_[-1]; idpay_provider generic; "
        . "idpay_tls off; idpay_host generic.test; idpay_auth $auth; "
        . join('', map {"idpay_secret $_; "} @secrets[ 0 .. $#secrets - 1 ])
        . "}\n";
};

my (@upstreams, @locations);
for my $v (sort keys %value) {
    my $file = "file:%%SECRET_key_$v%%";
    my @user = ("user file:%%SECRET_user%%", "password $file");

    push @upstreams,
        map { $upstream->(@$_, '%%SIM_generic%%') }
        [ "bearer_$v", 'bearer', "token $file" ],
        [ "basic_$v",  'basic',  @user ],
        [ "header_$v", 'header X-My_Key', "key file:%%SECRET_file_$v%%" ],
        [ "query_$v",  'query my.key', "key $file" ];
    push @locations,
        (map {"location /${_}_$v { idpay_pass ${_}_$v; }\n"}
            qw(bearer basic header query)),
        "location /uri_$v/ { idpay_pass query_$v/deep/; }\n";
}

$t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    @upstreams
    server {
        listen 127.0.0.1:%%PORT_8080%%;
        @locations
    }
}
CONF
$t->run;


sub seen {
    my ($method, $uri, %opt) = @_;

    $sim->clear;
    is $t->http($method, $uri, %opt)->status, 200, "$method $uri";
    my $requests = $sim->requests;
    is scalar @$requests, 1, 'one request';
    return $requests->[0];
}


sub lines {
    my ($request, $name) = @_;
    my ($head) = split /\r\n\r\n/, $request->{raw};
    return [ $head =~ /^(\Q$name\E[ \t]*:.*?)\r?$/mgi ];
}


for my $v (sort keys %value) {
    my $basic = encode_base64("us er/+\":$value{$v}", '');

    is_deeply lines(seen(GET => "/bearer_$v"), 'Authorization'),
        ["Authorization: Bearer $value{$v}"], "bearer, $v";
    is_deeply lines(seen(GET => "/basic_$v"), 'Authorization'),
        ["Authorization: Basic $basic"], "basic, $v";
    is_deeply lines(seen(GET => "/header_$v"), 'X-My_Key'),
        ["X-My_Key: $value{$v}"], "header, $v";

    my $arg = 'my.key='
        . $value{$v} =~ s/([^A-Za-z0-9._~-])/sprintf '%%%02X', ord $1/ger;

    for (
        [ GET  => "/query_$v",           "/query_$v?" ],
        [ GET  => "/query_$v?a=1",       "/query_$v?a=1&" ],
        [ HEAD => "/query_$v?a=%2f&b",   "/query_$v?a=%2f&b&" ],
        [ POST => "/query_$v/x%2Fy?a=1", "/query_$v/x%2Fy?a=1&" ],
        [ GET  => "/uri_$v/",            '/deep/?' ],
        [ HEAD => "/uri_$v/x",           '/deep/x?' ],
        [ POST => "/uri_$v/x?a=1",       '/deep/x?a=1&' ],
        [   GET => "/query_$v?my.key=mine&a=1&MY%2Ekey=mine",
            "/query_$v?a=1&"
        ],
        )
    {
        my ($method, $uri, $target) = @$_;
        my $body    = $method eq 'POST' ? 'a body' : undef;
        my $request = seen($method, $uri, body => $body);

        is $request->{target}, "$target$arg", "query, $v";
        is $request->{body}, $body // '', 'the body';
        is_deeply lines($request, 'Authorization'), [], 'no header';
    }
}

done_testing;
