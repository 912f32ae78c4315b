package ConfCases;

# Small configurations that nginx -t is asked about.
#
#   my $conf = ConfCases->new($t);
#   $conf->refused($name, $http, $message)     code 1 and exactly that [emerg]
#   $conf->refused_like($name, $http, $re)     code 1 and an [emerg] like that
#   $conf->accepted($name, $http, @warnings)   code 0 and exactly those [warn]
#   $conf->output                              of the last nginx -t
#   provider(@lines)          an upstream "p" of those lines
#   passed(@lines)            the same, with a location that uses it
#
# $http stands in http{}; a provider's certificates are checked against the
# test's CA where it says nothing else. "# here" marks the line that a message
# names; "# there" the line of a second one. A message ends with the word
# "here" or "there" in the place of "FILE:LINE".

use strict;
use warnings;

use Exporter qw(import);
use Test::More;

our @EXPORT_OK = qw(provider passed);


sub new {
    my ($class, $t) = @_;
    return bless { t => $t }, $class;
}


sub provider {
    return join "\n    ", 'upstream p {', @_, "}\n";
}


sub passed {
    return provider(@_) . "server { location / { idpay_pass p; } }\n";
}


sub output { return $_[0]{output} }


sub _check {
    my ($self, $http, $level) = @_;

    my $t    = $self->{t};
    my $port = $t->port(8080);

    # no server of a case may listen where something else does
    $http =~ s/\bserver \{/server { listen 127.0.0.1:$port;/g;

    my $file = $t->config(<<"CONF");
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
$http
}
CONF

    my ($code, $output) = $t->nginx_t;
    $self->{output} = $output;

    my @lines = split /\n/, $t->read('nginx.conf');
    for my $mark (qw(here there)) {
        my ($line) = grep { $lines[ $_ - 1 ] =~ /# $mark$/ } 1 .. @lines;
        $output =~ s/\Q$file\E:$line(?!\d)/$mark/g if $line;
    }
    my $dir = $t->dir;
    $output =~ s/\Q$dir\E/DIR/g;

    return $code, [ $output =~ /^[^[]*\[$level\] \d+#\d+: (.*)$/mg ];
}


sub refused {
    my ($self, $name, $http, $message) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($code, $emerg) = $self->_check($http, 'emerg');
    my $ok = is_deeply [ $code, @$emerg ], [ 1, $message ], $name;
    diag($self->output) if !$ok;
    return $ok;
}


# For what is said by a library, in its own words: some line is like it.
sub refused_like {
    my ($self, $name, $http, $re) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($code, $emerg) = $self->_check($http, 'emerg');
    my $ok = ok $code == 1 && grep({/$re/} @$emerg), $name;
    diag("code $code\n", $self->output) if !$ok;
    return $ok;
}


sub accepted {
    my ($self, $name, $http, @warnings) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($code, $warn) = $self->_check($http, 'warn');
    my $ok = is_deeply [ $code, @$warn ], [ 0, @warnings ], $name;
    diag($self->output) if !$ok;
    return $ok;
}


1;
